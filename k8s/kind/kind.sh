#!/bin/sh
# kind.sh up | demo | down: the product on Kubernetes in Docker, with small servers beside it.
# up can be run again: it builds, loads and upgrades what has changed.
set -eu
cd "$(dirname "$0")/../.."

CLUSTER=signals
NAMESPACE=signals
STACK=demo # as helm/signals/examples/kind.yaml names it
KUBERAY=1.6.0
VERSION=$(sed -n 's/^appVersion: //p' helm/signals/Chart.yaml)
IMAGE=customer-signals-copilot:$VERSION

need() { # need COMMAND WHERE
    command -v "$1" >/dev/null || { echo "$1 is missing: $2" >&2; exit 1; }
}

kube() {
    kubectl --context "kind-$CLUSTER" --namespace "$NAMESPACE" "$@"
}

in_head() { # the product's own commands, where its variables and Secrets are
    pod=$(kube get pod --selector "ray.io/node-type=head,app.kubernetes.io/instance=$STACK" \
        --field-selector status.phase=Running --output name | tail -n 1)
    [ -n "$pod" ] || { echo "no Ray head runs: kubectl describe signalsstack $STACK" >&2; return 1; }
    kube exec "$pod" --container ray-head -- "$@"
}

keys() { # a project to send to, once; both keys go into a Secret
    kube get secret signals-keys >/dev/null 2>&1 && return
    in_head signals orgs create demo
    in_head signals projects create shop --org demo
    ingest=$(in_head signals keys create --project shop --scope ingest | tail -n 1)
    read=$(in_head signals keys create --project shop --scope read | tail -n 1)
    kube create secret generic signals-keys --from-literal=ingest="$ingest" --from-literal=read="$read"
}

up() {
    need docker "https://docs.docker.com/engine/install/"
    need kind "https://kind.sigs.k8s.io/docs/user/quick-start/#installation"
    need kubectl "https://kubernetes.io/docs/tasks/tools/"
    need helm "https://helm.sh/docs/intro/install/"
    docker build --tag "$IMAGE" .
    kind get clusters | grep -qx "$CLUSTER" || kind create cluster --config k8s/kind/cluster.yaml --wait 3m
    kind load docker-image --name "$CLUSTER" "$IMAGE"
    helm upgrade --install kuberay-operator kuberay-operator --version "$KUBERAY" \
        --repo https://ray-project.github.io/kuberay-helm/ --kube-context "kind-$CLUSTER" \
        --namespace kuberay-system --create-namespace --wait --timeout 5m
    kubectl --context "kind-$CLUSTER" apply --filename k8s/kind/namespace.yaml
    kube apply --filename k8s/kind/servers/
    for server in postgres kafka opensearch; do
        kube rollout status "statefulset/$server" --timeout 10m # the first time their images are pulled
    done
    helm upgrade --install signals helm/signals --kube-context "kind-$CLUSTER" --namespace "$NAMESPACE" \
        --values helm/signals/examples/kind.yaml --wait --timeout 5m
    kube wait "signalsstack/$STACK" --for=condition=Ready --timeout 15m ||
        { kube describe signalsstack "$STACK" >&2; exit 1; }
    keys
    kube get signalsstacks
    echo "next: make kind-demo, or: kubectl --context kind-$CLUSTER -n $NAMESPACE port-forward service/$STACK-core 8000"
}

demo() {
    need kubectl "run make kind-up first"
    name=$(kube create --filename k8s/kind/scenario.yaml --output name)
    echo "$name sends two minutes of traffic with an outage, then waits for the incident and its summary"
    kube wait "$name" --for=condition=Verified --timeout 10m || { kube describe "$name" >&2; exit 1; }
    kube get "$name"
    key=$(kube get secret signals-keys --output 'go-template={{index .data "read" | base64decode}}')
    in_head env "READ_API_KEY=$key" "CORE_API_URL=http://$STACK-core:8000" signals incidents list
}

case ${1:-} in
    up) up ;;
    demo) demo ;;
    down) need kind "nothing to remove then"; kind delete cluster --name "$CLUSTER" ;;
    *) echo "usage: kind.sh up | demo | down" >&2; exit 2 ;;
esac
