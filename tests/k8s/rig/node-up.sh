#!/bin/bash
# node-up.sh: a cluster of its own in private mount, network, cgroup, pid, uts and ipc namespaces, with kubelet, containerd,
# kube-proxy and CoreDNS: pods are containers of the images in $RIG/img.
# Always starts empty. Use it through nsx.sh; end it with node-down.sh.
set -euo pipefail
export CLUSTER=node
. "$(dirname "$0")/env.sh"
[ "$(id -u)" = 0 ] || die "must run as root, for namespaces and mounts"
[ -d /sys/fs/cgroup/memory ] || die "this machine has cgroup v2 only; the rig mounts the cgroup v1 hierarchies"
need "install iproute2" ip
need "run build.sh node" coredns kubelet kube-proxy
need "run debs.sh" "$D/usr/bin/containerd" "$RIG/ipt/iptables"
[ -f "$RIG/img/pause.tar" ] || die "the pause image is missing: run images.sh"
if alive holder; then say "the node already runs"; exit; fi
"$HERE/node-down.sh" >/dev/null # what a run that was cut off left behind

node_cgroups | while read -r group; do
  mkdir -p "$group"
  case $group in */cpuset/*) # a new cpuset is empty and takes no process
    cat "$group/../cpuset.cpus" >"$group/cpuset.cpus"; cat "$group/../cpuset.mems" >"$group/cpuset.mems" ;; esac
done
mkdir -p "$RUN/log"; : >"$RUN/log/holder.log" # or tail could still print the last run's
start holder unshare --mount --net --pid --uts --ipc --fork --kill-child --mount-proc "$HERE/node-inner.sh"
until [ -n "$(node_init)" ]; do sleep 0.05; done
ip link add rig-host type veth peer name rig-node netns "$(node_init)" # both ends go with the node's namespace
ip addr add $UPLINK_HOST/30 dev rig-host; ip link set rig-host up
ip route add 10.88.0.0/16 via $UPLINK_NODE; ip route add 10.96.0.0/16 via $UPLINK_NODE
tail -n +1 -f --pid="$(<"$RUN/pid/holder")" "$RUN/log/holder.log" &
wait_for 300 holder test -e "$RUN/ready"
kill $! 2>/dev/null || true # the tail
say "the node is ready: nsx.sh kubectl get nodes"
