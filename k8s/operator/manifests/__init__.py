"""Pure builders: a stack's identity and spec in, manifests out. No clock, no cluster, no chance."""
