"""The studio of a server, from Python: what its HTTP interface offers as methods, with the same values and errors as here."""
