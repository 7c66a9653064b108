#!/bin/bash
# down.sh [clean]: stops what up.sh and up-kuberay.sh started, by recorded pid; clean also forgets the cluster's content.
set -euo pipefail
. "$(dirname "$0")/env.sh"
signal=TERM
if [ "${1:-}" = clean ]; then signal=KILL; fi # what is forgotten need not be written; the API server alone takes 10 s to end well
for name in kuberay scheduler controllers apiserver etcd; do stop $name $signal; done
if [ "${1:-}" = clean ]; then rm -rf "${RUN:?}"/{etcd,log,pki}; say "the cluster's content is gone"; fi
say "down"
