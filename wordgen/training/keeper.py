"""Keeps the best model on disk."""

from collections.abc import Callable

from wordgen.bundle import Weights
from wordgen.errors import StorageError


class BestKeeper:
    """Saves the weights it is given; where the disk refuses, warns, remembers them and tries again later."""

    def __init__(self, save: Callable[[Weights], None], warn: Callable[[str], None]) -> None:
        self._save = save
        self._warn = warn
        self._unsaved: Weights | None = None

    def keep(self, weights: Weights) -> None:
        self._unsaved = weights
        try:
            self.finish()
        except StorageError as error:
            self._warn(f"The model is not saved yet. {error}")

    def finish(self) -> None:
        """Save what could not be saved before; here a disk that still refuses is an error."""
        if self._unsaved is not None:
            self._save(self._unsaved)
            self._unsaved = None
