"""Our own music: the notes."""
