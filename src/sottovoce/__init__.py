"""Sottovoce: a self-hosted music studio."""
