"""What we own: tracks, their files, search and export."""
