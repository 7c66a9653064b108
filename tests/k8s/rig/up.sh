#!/bin/bash
# up.sh: etcd, kube-apiserver, controllers and scheduler on 127.0.0.1.
# BIND and ADVERTISE are set by node-inner.sh; API_FLAGS adds flags to the API server. Running it twice changes nothing.
set -euo pipefail
. "$(dirname "$0")/env.sh"
ADVERTISE=${ADVERTISE:-10.88.0.1} # an API server refuses to advertise a loopback address; nothing needs to listen there
need "install it with apt" openssl curl
need "run build.sh" etcd kube-apiserver kube-controller-manager kube-scheduler kubectl

certificate() { # certificate NAME SUBJECT [SUBJECT-ALTERNATIVE-NAMES]
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "${3:-DNS:localhost}" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

certificates() {
  [ -d "$RUN/pki" ] && return
  rm -rf "$RUN/pki.new"; mkdir -m 700 "$RUN/pki.new"; cd "$RUN/pki.new"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -keyout ca.key -out ca.crt -subj /CN=rig-ca 2>/dev/null
  local svc=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
  certificate apiserver /CN=kube-apiserver "DNS:localhost,$svc,IP:127.0.0.1,IP:10.96.0.1,IP:10.88.0.1"
  certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate admin /O=system:masters/CN=admin
  certificate controllers /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate node /O=system:nodes/CN=system:node:node1 "DNS:node1,IP:127.0.0.1,IP:10.88.0.1"
  certificate proxy /CN=system:kube-proxy
  openssl genrsa -out sa.key 2048 2>/dev/null; openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  mv "$RUN/pki.new" "$RUN/pki"; say "certificates made"
}

kubeconfigs() { # written each time, since PORT may change; paths are relative to the file
  local user
  for user in admin controllers scheduler node proxy; do
    cat >"$RUN/pki/$user.kubeconfig" <<K
apiVersion: v1
kind: Config
clusters: [{name: rig, cluster: {server: "https://127.0.0.1:$PORT", certificate-authority: ca.crt}}]
users: [{name: $user, user: {client-certificate: $user.crt, client-key: $user.key}}]
contexts: [{name: rig, context: {cluster: rig, user: $user}}]
current-context: rig
K
  done
}

etcd_up() {
  local url=http://127.0.0.1:$((PORT + 1)) peer=http://127.0.0.1:$((PORT + 2))
  start etcd etcd --data-dir "$RUN/etcd" --listen-client-urls "$url" --advertise-client-urls "$url" --listen-peer-urls "$peer" \
    --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" --unsafe-no-fsync
  wait_for 30 etcd curl -sf "$url/health"; say "etcd is healthy"
}

apiserver_up() {
  # shellcheck disable=SC2086 # API_FLAGS is a list of words
  start apiserver kube-apiserver --etcd-servers="http://127.0.0.1:$((PORT + 1))" --secure-port="$PORT" \
    --bind-address="${BIND:-127.0.0.1}" --advertise-address="$ADVERTISE" --service-cluster-ip-range=10.96.0.0/16 \
    --tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key --client-ca-file=ca.crt \
    --kubelet-client-certificate=apiserver-kubelet.crt --kubelet-client-key=apiserver-kubelet.key \
    --service-account-key-file=sa.pub --service-account-signing-key-file=sa.key \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true ${API_FLAGS:-}
  wait_for 60 apiserver kubectl get --raw /readyz; say "kube-apiserver v$KV is ready"
}

controllers_up() {
  local name
  for name in controllers scheduler; do
    set -- --kubeconfig=$name.kubeconfig --authentication-kubeconfig=$name.kubeconfig --authorization-kubeconfig=$name.kubeconfig \
      --bind-address=127.0.0.1 --leader-elect=false
    if [ $name = controllers ]; then
      start $name kube-controller-manager "$@" --secure-port=$((PORT + 3)) --service-account-private-key-file=sa.key --root-ca-file=ca.crt \
        --use-service-account-credentials=true --allocate-node-cidrs=true --cluster-cidr=10.88.0.0/16 \
        --cluster-signing-cert-file=ca.crt --cluster-signing-key-file=ca.key
    else start $name kube-scheduler "$@" --secure-port=$((PORT + 4)); fi
  done
  wait_for 60 controllers kubectl -n default get serviceaccount default
  wait_for 60 scheduler curl -sfk "https://127.0.0.1:$((PORT + 4))/healthz"; say "controllers and scheduler are ready"
}

if alive apiserver && [ "$(cat "$RUN/port")" != "$PORT" ]; then die "a cluster of this rig runs at port $(cat "$RUN/port"), not $PORT: run down.sh first"; fi
mkdir -p "$RUN"; echo "$PORT" >"$RUN/port"
certificates; kubeconfigs; cd "$RUN/pki"
etcd_up; apiserver_up; controllers_up
say "export KUBECONFIG=$KUBECONFIG"
