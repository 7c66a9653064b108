#!/bin/bash
# images.sh pause | base | app NAME PIP-ARGUMENT... : OCI archives in $RIG/img, imported by node-up.sh. No registry is involved.
#   pause  localhost/pause:1, a static Go program    base  localhost/base:1, bookworm with python3 and wget
#   app    localhost/NAME:1, base plus a layer of what pip installs: images.sh app ray 'ray[serve]==2.60.0'
# Default: pause base. Pods must say imagePullPolicy: Never.
set -euo pipefail
. "$(dirname "$0")/env.sh"
I=$RIG/img

archive() { # archive NAME FOLDER-OR-OPTION...: NAME is what pods call localhost/NAME:1
  nice -n 5 python3 "$HERE/mkimage.py" "$I/$1.tar" "localhost/$1:1" "${@:2}"
  say "localhost/$1:1 is $(du -h "$I/$1.tar" | cut -f1)"
}

pause() {
  need "install Go 1.26" go
  if [ -f "$I/pause.tar" ]; then say "localhost/pause:1 exists"; return; fi
  mkdir -p "$I/pause"; go build -ldflags "-s -w" -o "$I/pause/pause" "$HERE/pause-main.go"
  archive pause "$I/pause" --entrypoint /pause
}

mirror() { # the Debian mirror that the system itself uses
  sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) +bookworm +.*/\2/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1
}

rootfs() { # KubeRay's probes call wget and bash; in a mount namespace, so that an interruption leaves no /proc mounted inside
  [ -d "$I/rootfs" ] && return
  [ -x "$D/usr/sbin/debootstrap" ] || die "debootstrap is missing: run debs.sh"
  rm -rf "$I/rootfs.new"
  DEBOOTSTRAP_DIR=$D/usr/share/debootstrap nice -n 5 unshare --mount "$D/usr/sbin/debootstrap" --variant=minbase \
    --include=python3,wget,ca-certificates bookworm "$I/rootfs.new" "$(mirror)" >"$RUN/log/debootstrap.log" 2>&1 ||
    die "debootstrap failed; its log is $RUN/log/debootstrap.log"
  rm -rf "$I"/rootfs.new/var/{cache/apt,lib/apt/lists,cache/debconf}/* "$I"/rootfs.new/usr/share/{doc,locale,man}/*
  echo "app:x:1000:1000::/tmp:/bin/bash" >>"$I/rootfs.new/etc/passwd" # runAsUser: 1000 then has a name and a HOME
  echo "app:x:1000:" >>"$I/rootfs.new/etc/group"
  mv "$I/rootfs.new" "$I/rootfs"; say "root file system made"
}

base() {
  if [ -f "$I/base.tar" ]; then say "localhost/base:1 exists"; return; fi
  rootfs; archive base "$I/rootfs"
}

launchers() { # pip writes launchers for the building machine's Python, in a folder that is not on the image's PATH
  local script
  mkdir -p "$2"
  for script in "$1"/bin/*; do
    [ -f "$script" ] || continue
    sed -i '1s|^#!.*python.*|#!/usr/bin/python3|' "$script"; mv "$script" "$2/"
  done
}

fingerprint() { # the arguments, and the content of those that are files: a wheel keeps its name when rebuilt
  local argument
  echo "$*"
  for argument in "$@"; do [ ! -f "$argument" ] || cksum "$argument"; done
}

app() {
  local name=$1 layer=$I/layer-$1; shift
  [ "$(python3 -c 'import sys; print(*sys.version_info[:2])')" = "3 11" ] || die "the layer must be made by Python 3.11, as in the base image"
  rootfs
  if [ -f "$I/$name.tar" ] && [ "$(cat "$layer.done" 2>/dev/null)" = "$(fingerprint "$@")" ]; then say "localhost/$name:1 exists with $*"; return; fi
  rm -rf "$layer" "$layer.done"
  nice -n 5 python3 -m pip install -q --root-user-action=ignore --no-warn-conflicts --target "$layer/usr/local/lib/python3.11/dist-packages" "$@"
  launchers "$layer/usr/local/lib/python3.11/dist-packages" "$layer/usr/local/bin"
  say "installed $*"
  archive "$name" "$I/rootfs" "$layer"; fingerprint "$@" >"$layer.done"
}

case ${1:-default} in
  default) pause; base ;;
  pause | base) "$1" ;;
  app) [ $# -ge 3 ] || die "app needs a name and what pip should install"; app "${@:2}" ;;
  *) die "unknown image '$1'; say pause, base or app NAME PIP-ARGUMENT..." ;;
esac
