#!/bin/bash
# dockerfile.sh CONTEXT: carries out CONTEXT/Dockerfile without an engine, into $RIG/img/dockerfile/rootfs. Needs root.
# Debian's own Python 3.11 stands in for the base image: same minor version, other libraries below it.
set -euo pipefail
. "$(dirname "$0")/env.sh"
I=$RIG/img

python_base() { # what images.sh debootstraps, with pip and `python` as the official images have them
  local packages=$I/python.new/usr/local/lib/python3.11/dist-packages
  [ -d "$I/python" ] && return
  "$HERE/images.sh" base
  rm -rf "$I/python.new"; cp -a "$I/rootfs" "$I/python.new"
  "$PYTHON" -m pip install -q --root-user-action=ignore --target "$packages" pip
  rm -rf "$packages/bin" "$I/python.new"/usr/lib/python3*/EXTERNALLY-MANAGED
  ln -s python3 "$I/python.new/usr/bin/python"
  printf '#!/bin/sh\nexec python3 -m pip "$@"\n' >"$I/python.new/usr/local/bin/pip"; chmod 755 "$I/python.new/usr/local/bin/pip"
  mv "$I/python.new" "$I/python"; say "base of $(du -sh "$I/python" | cut -f1)"
}

[ "$(id -u)" = 0 ] || die "this mounts and changes the root folder: run it as root"
"$HERE/build.sh" docker; python_base
exec 9>"$RIG/dockerfile.lock"; flock 9
nice -n 5 python3 "$HERE/dockerfile.py" "$B/dockerfile" "$1" "$I/python" "$I/dockerfile"
say "$I/dockerfile/rootfs"
