"""The exit codes, which scripts may rely on."""

EXIT_OK = 0
EXIT_BUG = 1
"""Something in wordgen itself went wrong."""
EXIT_USER = 2
"""Something that the user can mend, said in one sentence."""
EXIT_WORKER_LOST = 75
"""One of several workers was lost or never came: start all of them again (as `wordgen launch` does).

Or a run of a sweep was lost: the same command goes on with it.
"""
EXIT_STOPPED = 130
"""Stopped by Ctrl-C or SIGTERM, with the best model kept."""
