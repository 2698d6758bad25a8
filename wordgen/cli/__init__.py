"""The command line: flags made from the settings, verbs that call the Python API."""
