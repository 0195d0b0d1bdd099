"""One style a file, data only."""
