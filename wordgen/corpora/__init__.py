"""From a name or a path to clean text, unit by unit."""
