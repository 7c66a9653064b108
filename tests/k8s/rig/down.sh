#!/bin/bash
# down.sh [clean | NAME]: stops what up.sh and up-kuberay.sh started, by recorded pid; clean also forgets the cluster's content,
# a NAME (kuberay) is stopped alone.
set -euo pipefail
. "$(dirname "$0")/env.sh"
case ${1:-} in "" | clean) ;; *) stop "$1"; exit ;; esac
signal=TERM
if [ "${1:-}" = clean ]; then signal=KILL; fi # what is forgotten need not be written; the API server alone takes 10 s to end well
for name in kuberay scheduler controllers apiserver etcd; do stop $name $signal; done
if [ "${1:-}" = clean ]; then rm -rf "${RUN:?}"/{etcd,log,pki}; say "the cluster's content is gone"; fi
say "down"
