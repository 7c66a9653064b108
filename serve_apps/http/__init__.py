"""The HTTP vocabulary that all applications share: bodies, keys, problems, the document. No product rule."""
