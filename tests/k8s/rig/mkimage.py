#!/usr/bin/env python3
"""mkimage.py OUT.tar NAME[=TOP][,...] FOLDER...: an OCI archive for `ctr images import`, a layer per folder.

Several names are as many images: they share the layers, TOP is one more of its own, and IMAGE is the name.
"""

import argparse
import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

OCI = "application/vnd.oci.image."
PLATFORM = {"architecture": "amd64", "os": "linux"}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Json = dict[str, Any]


def add(image: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    """Append one file to the archive."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    content.seek(0)
    image.addfile(entry, content)


def add_blob(image: tarfile.TarFile, content: IO[bytes], kind: str) -> Json:
    """Store a binary file under its digest and return its OCI descriptor."""
    size = content.seek(0, io.SEEK_END)
    content.seek(0)
    digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]  # any seekable file does
    add(image, f"blobs/sha256/{digest}", content, size)
    return {"mediaType": OCI + kind, "digest": f"sha256:{digest}", "size": size}


def as_file(value: Json) -> io.BytesIO:
    """The value as a file of JSON."""
    return io.BytesIO(json.dumps(value).encode())


def add_layer(image: tarfile.TarFile, folder: Path, beside: Path) -> Json:
    """Pack the folder and store it as a layer."""
    with tempfile.TemporaryFile(dir=beside) as layer:
        with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, arcname=path.name)
        return add_blob(image, layer, "layer.v1.tar")


def add_manifest(image: tarfile.TarFile, name: str, layers: list[Json], options: argparse.Namespace) -> Json:
    """Store what makes an image of the layers, and return its entry of the index."""
    settings: Json = json.loads(options.config.read_text()) if options.config else {"Env": [PATH]}
    settings["Env"] = [*settings["Env"], f"IMAGE={name}"]
    if options.entrypoint:
        settings["Entrypoint"] = [options.entrypoint]
    rootfs = {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}
    config = add_blob(image, as_file(PLATFORM | {"config": settings, "rootfs": rootfs}), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": config, "layers": layers}
    entry = add_blob(image, as_file(manifest), "manifest.v1+json") | {"platform": PLATFORM}
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    return entry | {"annotations": names}


def build(image: tarfile.TarFile, options: argparse.Namespace) -> None:
    """Write layers, images and index."""
    layers = [add_layer(image, folder, options.out.parent) for folder in options.folder]
    entries = []
    for name, _, top in (one.partition("=") for one in options.names.split(",")):
        own = [add_layer(image, Path(top), options.out.parent)] if top else []
        entries.append(add_manifest(image, name, layers + own, options))
    index = {"schemaVersion": 2, "manifests": entries}
    files: dict[str, Json] = {"index.json": index, "oci-layout": {"imageLayoutVersion": "1.0.0"}}
    for name, value in files.items():
        add(image, name, as_file(value), len(json.dumps(value)))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("out", type=Path)
parser.add_argument("names", help="for example localhost/app:1,localhost/app:2=folder")
parser.add_argument("folder", nargs="+", type=Path)
parser.add_argument("--entrypoint")
parser.add_argument("--config", type=Path, help="the image's configuration, as OCI writes it")
arguments = parser.parse_args()
unfinished = arguments.out.with_suffix(".new")
with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as archive:
    build(archive, arguments)
unfinished.replace(arguments.out)
