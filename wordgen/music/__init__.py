"""Music: tunes in ABC and pieces from MIDI, read, checked, transposed, written as text, and saved as files."""
