"""Kubernetes: the operator that runs the product there. Nothing else of the product imports this."""
