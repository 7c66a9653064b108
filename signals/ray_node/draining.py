"""Which nodes are about to go: Ray says so only to its own parts and to its dashboard."""

from ray._private.state import state


def draining_nodes() -> frozenset[str]:
    """Return Ray's ids of the nodes that are draining; the process must have joined the cluster.

    Serve asks the control store too (ray.serve._private.cluster_node_info_cache of 2.60).
    """
    return frozenset(state.get_draining_nodes())
