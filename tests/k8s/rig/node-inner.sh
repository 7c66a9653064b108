#!/bin/bash
# Started by node-up.sh as process 1 of the node's namespaces: sets them up, starts everything, then waits.
# Pid files written from here hold numbers of this pid namespace: they mean nothing outside.
set -euo pipefail
. "$(dirname "$0")/env.sh"
IP=10.88.0.1

if [ -z "${IN_CGROUP:-}" ]; then # first move, then make it the root of the cgroup namespace: kubelet's groups stay below ours
  node_cgroups | while read -r group; do echo $$ >"$group/cgroup.procs"; done # not 0: the loop is a process of its own
  IN_CGROUP=1 exec unshare --cgroup "$0" "$@"
fi

own_system_files() { # a /sys of this network namespace, the cgroup v1 hierarchies from our root down, an empty /run
  local name
  mount -t sysfs sysfs /sys; mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for name in cpu cpuacct cpuset memory devices freezer blkio pids; do
    mkdir "/sys/fs/cgroup/$name"; mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name"
  done
  mkdir /sys/fs/cgroup/systemd; mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  mount --make-rshared / # kubelet's mounts must reach the containers; nothing goes back out of this namespace
  mount -t tmpfs tmpfs /run; mkdir /run/netns
  hostname node1; echo "127.0.0.1 localhost node1" >"$RUN/hosts"; mount --bind "$RUN/hosts" /etc/hosts
}

network() {
  ip link set lo up
  ip link add rig0 type bridge; ip addr add $IP/24 dev rig0; ip link set rig0 up
  ip route add default via $IP # kubelet looks for one
  until ip link show rig-node >/dev/null 2>&1; do sleep 0.05; done # node-up.sh puts it here
  ip addr add $UPLINK_NODE/30 dev rig-node; ip link set rig-node up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables # or a pod calling a Service that lands on its own bridge is not translated
}

dns_up() { # before the operator: KubeRay and Ray workers find the head by its Service's name
  cat >"$RUN/Corefile" <<K
.:53 {
  bind $IP
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $RUN/pki/admin.kubeconfig rig
  }
  cache 1
}
K
  start coredns coredns -conf "$RUN/Corefile"; wait_for 30 coredns curl -sf http://127.0.0.1:8181/ready
  echo "nameserver $IP" >"$RUN/resolv.conf"; mount --bind "$RUN/resolv.conf" /etc/resolv.conf; say "DNS is ready"
}

containerd_up() {
  mkdir -p "$RUN/cni"
  cat >"$RUN/cni/10-rig.conflist" <<K
{"cniVersion": "0.4.0", "name": "rig", "plugins": [
  {"type": "bridge", "bridge": "rig0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "10.88.0.0/24", "rangeStart": "10.88.0.10"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
K
  cat >"$RUN/containerd.toml" <<K
version = 2
root = "$RUN/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    options = {BinaryName = "$D/usr/sbin/runc"}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$D/usr/lib/cni"
    conf_dir = "$RUN/cni"
K
  start containerd containerd -c "$RUN/containerd.toml"; wait_for 30 containerd ctr version; say "containerd is ready"
  local tar
  for tar in "$RIG"/img/*.tar; do ctr -n k8s.io images import "$tar" >/dev/null; say "imported $(basename "$tar")"; done
}

kubelet_up() { # oomScoreAdj 0: the default, -999, needs a right that a container lacks
  cat >"$RUN/kubelet.yaml" <<K
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
failSwapOn: false
oomScoreAdj: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $RUN/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $RUN/pki/node.crt
tlsPrivateKeyFile: $RUN/pki/node.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDNS: [$IP]
clusterDomain: cluster.local
resolvConf: /dev/null
podLogsDir: $RUN/podlogs
volumePluginDir: $RUN/kubelet/volume-plugins
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
imageGCHighThresholdPercent: 100
K
  start kubelet kubelet --config="$RUN/kubelet.yaml" --kubeconfig="$RUN/pki/node.kubeconfig" --root-dir="$RUN/kubelet" \
    --cert-dir="$RUN/kubelet/pki" --hostname-override=node1 --node-ip=$IP
}

proxy_up() { # conntrack limits are the machine's, not this namespace's: leave them
  cat >"$RUN/proxy.yaml" <<K
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: 10.88.0.0/16
hostnameOverride: node1
clientConnection: {kubeconfig: $RUN/pki/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
K
  start proxy kube-proxy --config="$RUN/proxy.yaml"; wait_for 30 proxy curl -sf http://127.0.0.1:10256/livez
}

ulimit -n "$(ulimit -Hn)" # containers inherit it; KubeRay's start command asks for 65536 and only complains when that is refused
export BIND=0.0.0.0 ADVERTISE=$IP
own_system_files; network
"$HERE/up.sh"; dns_up
PATH=$RIG/ipt:$D/usr/sbin:$D/usr/bin:$PATH; export PATH LD_LIBRARY_PATH=$D/usr/lib/x86_64-linux-gnu XTABLES_LIBDIR=$D/usr/lib/x86_64-linux-gnu/xtables
containerd_up; kubelet_up; proxy_up
wait_for 60 kubelet kubectl get node node1
wait_for 120 kubelet kubectl wait --for=condition=Ready node/node1 --timeout=1s; say "node1 is Ready"
touch "$RUN/ready"
while :; do sleep 3600 & wait $!; done # bash also reaps what the shims leave behind
