"""Real containers, and the image that they run."""
