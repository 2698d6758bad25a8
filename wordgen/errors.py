"""What a user can mend.

Every error of this family carries one sentence that says what is wrong and what to do. The command
line prints that sentence and leaves with exit code 2; anything else that is raised is a bug of ours.
"""


class WordgenError(Exception):
    """The family: catch this to catch everything that wordgen refuses."""


class SettingError(WordgenError):
    """A setting or flag has a value that cannot work."""


class CorpusError(WordgenError):
    """The text is missing, empty, unreadable or too short."""


class BundleError(WordgenError):
    """A saved model is missing, damaged or from another version."""


class DivergedError(WordgenError):
    """A training went off into numbers that are none."""


class WorkerLostError(WordgenError):
    """One of several workers has gone, or never came: all must be started again."""


class StorageError(WordgenError):
    """A file could not be written: no space, no permission."""


class MissingPartError(WordgenError):
    """A part of wordgen that is installed on demand is not there."""


def reason_of(error: Exception) -> str:
    """What went wrong, as part of a sentence: without the number that the system has for it."""
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")
