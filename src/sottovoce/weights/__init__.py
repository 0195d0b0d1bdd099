"""Model weights: which files a model is made of, how they come here, and the proof that they are the right ones."""
