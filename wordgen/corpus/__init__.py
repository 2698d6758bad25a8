"""Find a corpus by its name or path, and read it as clean text, passage by passage."""
