"""Demucs: stems by the networks of Défossez et al. (arXiv 2211.08553), block by block in memory that does not grow."""
