"""The command line. Its flags are made from the settings, and its verbs call the Python API."""
