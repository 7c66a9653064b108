#!/bin/bash
# debs.sh: the node's Debian packages unpacked into $RIG/deb without installing them, through the system's own sources.
set -euo pipefail
. "$(dirname "$0")/env.sh"
need "this rig is made for Debian" apt-get dpkg

apt_private() { # apt_private ARGUMENT...: apt-get with folders of its own, so that the system's lists stay as they are
  local dir=$RIG/apt
  mkdir -p "$dir/lists/partial" "$dir/archives/partial"
  apt-get -qq -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir" -o Dir::Cache::archives="$dir/archives" -o APT::Sandbox::User=root "$@"
}

unpack() { # unpack PACKAGE...
  local mark=$RIG/apt/done deb
  if [ "$(cat "$mark" 2>/dev/null)" = "$*" ]; then say "already unpacked"; return; fi
  apt_private update; say "package lists read"
  cd "$RIG/apt"; rm -f ./*.deb
  apt_private download "$@"
  for deb in ./*.deb; do dpkg -x "$deb" "$D"; done
  echo "$*" >"$mark"; say "$# packages unpacked into $D"
}

links() { # kube-proxy and the CNI plugins look for iptables by its plain names; these are only links made at installation
  mkdir -p "$RIG/ipt"
  local tool; for tool in ip{,6}tables{,-save,-restore}; do ln -sf "$D/usr/sbin/xtables-nft-multi" "$RIG/ipt/$tool"; done
}

check() { # a missing shared library shows here, not later as a kube-proxy that retries endlessly
  local missing; missing=$(LD_LIBRARY_PATH=$D/usr/lib/x86_64-linux-gnu ldd "$D/usr/sbin/xtables-nft-multi" "$D/usr/sbin/runc" "$D/usr/bin/containerd" "$D/usr/bin/redis-server" | grep "not found" || true)
  [ -z "$missing" ] || die "shared libraries are missing: $missing"
}

unpack containerd runc containernetworking-plugins debootstrap iptables libip4tc2 libip6tc2 libxtables12 \
  libnftnl11 libmnl0 libnfnetlink0 libnetfilter-conntrack3 libseccomp2 redis-server redis-tools liblzf1 libjemalloc2
links; check
say "$("$D/usr/bin/containerd" --version | cut -d' ' -f1,3), $("$D/usr/sbin/runc" --version | head -n 1), iptables links in $RIG/ipt"
