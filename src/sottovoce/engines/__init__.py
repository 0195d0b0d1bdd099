"""Engines: each makes music, splits it, or reads a mood."""
