# shellcheck shell=bash
# Sourced by every script, and by hand: `. ./env.sh; kubectl get nodes`.
# RIG is the work folder (binaries, caches, images, state), outside any repository.
export RIG=${RIG:-$HOME/.cache/kube-rig}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); export HERE
PYTHON=${PYTHON:-python3} # make passes the one of its environment, which has pip
# One folder of state per cluster: "loopback" (up.sh), "node" (node-up.sh) and those of `make test-k8s` can run side by side.
export CLUSTER=${CLUSTER:-loopback}
export RUN=$RIG/$CLUSTER B=$RIG/bin S=$RIG/src D=$RIG/deb
export KUBECONFIG=$RUN/pki/admin.kubeconfig
# The API server's port; the others follow: +1 etcd, +2 etcd peer, +3 controllers, +4 scheduler, +5 +6 KubeRay.
export PORT=${PORT:-6443}
# Newest Kubernetes whose kubelet still accepts cgroup v1; the CRDs and the operator come from one KubeRay version.
export KV=${KV:-1.35.4} KUBERAY=${KUBERAY:-v1.6.0}
export GOMODCACHE=${GOMODCACHE:-$RIG/gomod} GOCACHE=${GOCACHE:-$RIG/gocache} CGO_ENABLED=0 GOFLAGS="-buildvcs=false -trimpath"
export PATH=$B:$PATH
mkdir -p "$B" "$S" "$D" "$RIG/img"
STARTED=${EPOCHREALTIME//[^0-9]/}

say() { local us=$((${EPOCHREALTIME//[^0-9]/} - STARTED)); printf '%-13s %4d.%d s  %s\n' "$(basename "$0")" $((us / 1000000)) $((us / 100000 % 10)) "$*"; }
die() { echo "$(basename "$0"): $*" >&2; exit 1; }

need() { # need HINT COMMAND...
  local hint=$1 c; shift
  for c in "$@"; do command -v "$c" >/dev/null || die "the command '$c' is missing: $hint"; done
}

alive() { # alive NAME: the recorded pid still belongs to this rig (a number alone may have been reused)
  [ -f "$RUN/pid/$1" ] && grep -qzxF "RIG=$RIG" "/proc/$(<"$RUN/pid/$1")/environ" 2>/dev/null
}

start() { # start NAME COMMAND...: in a session of its own; does nothing when NAME already runs
  local name=$1; shift
  if alive "$name"; then say "$name already runs"; return; fi
  mkdir -p "$RUN/pid" "$RUN/log"
  setsid "$@" >"$RUN/log/$name.log" 2>&1 </dev/null &
  echo $! >"$RUN/pid/$name"
}

stop() { # stop NAME [SIGNAL]: TERM, then KILL after 10 s; only a process this rig started
  if alive "$1"; then
    local pid; pid=$(<"$RUN/pid/$1"); kill "-${2:-TERM}" "$pid"
    for _ in {1..100}; do alive "$1" || break; sleep 0.1; done
    if alive "$1"; then kill -9 "$pid"; fi
    say "stopped $1"
  fi
  rm -f "$RUN/pid/$1"
}

wait_for() { # wait_for SECONDS NAME COMMAND...: until the command succeeds, while process NAME lives
  local deadline=$((SECONDS + $1)) name=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    sleep 0.1
    alive "$name" || die "$name ended before it was ready: $(tail -n 1 "$RUN/log/$name.log")"
    [ $SECONDS -lt $deadline ] || die "$name was not ready in time; its log is $RUN/log/$name.log"
  done
}

node_init() { # the first process inside the node's namespaces, as seen from outside
  local holder; holder=$(<"$RUN/pid/holder"); tr -d ' ' <"/proc/$holder/task/$holder/children"
}

# The way between the machine and the node's network namespace: pods reach servers that listen on UPLINK_HOST, the machine
# reaches pods and Services.
export UPLINK_HOST=10.89.0.1 UPLINK_NODE=10.89.0.2

node_cgroups() { # this rig's folder in each cgroup v1 hierarchy, below the caller's own cgroup
  local id name own
  id=kube-rig-$(cksum <<<"$RIG" | cut -d' ' -f1)
  while IFS=: read -r _ name own; do
    name=${name#name=} # the systemd hierarchy is written name=systemd, the cgroup v2 one has no name
    [ -z "$name" ] || echo "/sys/fs/cgroup/$name${own%/}/$id"
  done </proc/self/cgroup
}
