#!/bin/bash
# images.sh pause | base | product: OCI archives in $RIG/img, imported by node-up.sh. No registry is involved.
#   pause  localhost/pause:1, a static Go program    base  localhost/base:1, bookworm with python3 and wget
#   product  localhost/signals:1, what our Dockerfile makes, and :2, the same with the code of the next release
# Default: pause base. Pods must say imagePullPolicy: Never.
set -euo pipefail
. "$(dirname "$0")/env.sh"
I=$RIG/img
REPOSITORY=$(cd "$HERE/../../.." && pwd)

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
    --include=python3,wget,ca-certificates bookworm "$I/rootfs.new" "$(mirror)" >"$I/debootstrap.log" 2>&1 ||
    die "debootstrap failed; its log is $I/debootstrap.log"
  rm -rf "$I"/rootfs.new/var/{cache/apt,lib/apt/lists,cache/debconf}/* "$I"/rootfs.new/usr/share/{doc,locale,man}/*
  echo "app:x:1000:1000::/tmp:/bin/bash" >>"$I/rootfs.new/etc/passwd" # runAsUser: 1000 then has a name and a HOME
  echo "app:x:1000:" >>"$I/rootfs.new/etc/group"
  mv "$I/rootfs.new" "$I/rootfs"; say "root file system made"
}

base() {
  if [ -f "$I/base.tar" ]; then say "localhost/base:1 exists"; return; fi
  rootfs; archive base "$I/rootfs"
}

product() { # what our Dockerfile makes, and a second image with other code, so that one can be upgraded to the other
  "$HERE/dockerfile.sh" "$REPOSITORY"
  local packages; packages=$(cd "$I/dockerfile/rootfs"; echo opt/signals/lib/python3.*/site-packages)
  rm -rf "$I/next"; (cd "$REPOSITORY"; "$PYTHON" -m tests.support.next_release "$I/next/$packages")
  nice -n 5 python3 "$HERE/mkimage.py" "$I/signals.tar" "localhost/signals:1,localhost/signals:2=$I/next" "$I/dockerfile/rootfs" \
    --config "$I/dockerfile/config.json"
  say "localhost/signals:1 and :2 are $(du -h "$I/signals.tar" | cut -f1)"
}

case ${1:-default} in
  default) pause; base ;;
  pause | base | product) "$1" ;;
  *) die "unknown image '$1'; say pause, base or product" ;;
esac
