"""Music by MusicGen in this process."""
