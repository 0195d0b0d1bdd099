"""The only code that opens audio and video files."""
