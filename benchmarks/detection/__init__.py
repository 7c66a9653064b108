"""Detection quality: a labelled corpus, its scoring, and the figures that must not fall."""
