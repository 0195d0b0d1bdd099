"""The studio over HTTP: the API, who may use it, and how much of it."""
