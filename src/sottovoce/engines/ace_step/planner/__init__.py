"""ACE-Step's own language model: it plans tempo, key, meter and caption, and sketches the music as five codes a second."""
