"""The models that may be asked for, by name alone: no name leads out of the folders that were given."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from wordgen.bundle import read_config
from wordgen.commands import TRY
from wordgen.errors import SettingError, WordgenError
from wordgen.generation.trained import TrainedModel
from wordgen.run_folder import find_model, load, saved_at, trained_models
from wordgen.run_names import SAVED_MODELS
from wordgen.web.limits import MOST_MODELS_AT_HAND
from wordgen.web.refusals import RefusedError

_LONGEST_SHOWN = 100


class Shelf:
    """Keeps some models at hand; a model that was trained anew is read anew. Any thread may ask."""

    def __init__(self, models: Sequence[str]) -> None:
        """Of these models; where none are named, of all in saved_models, those that are trained later included."""
        self._given = _by_name([find_model(each) for each in models])
        self._at_hand: OrderedDict[tuple[Path, float], TrainedModel] = OrderedDict()
        self._lock = threading.Lock()

    def folders(self) -> dict[str, Path]:
        """All there are, the newest first."""
        found = self._given or {folder.name: folder for folder in trained_models()}
        return dict(sorted(found.items(), key=lambda pair: -saved_at(pair[1])))

    def list(self) -> list[dict[str, str | None]]:
        return [{"name": name, **_described(folder)} for name, folder in self.folders().items()]

    def find(self, name: str | None) -> tuple[str, TrainedModel]:
        """A model by its whole name, as it is listed; the newest where none is named."""
        folders = self.folders()
        if not folders:
            raise RefusedError(
                404, f"There is no trained model in {SAVED_MODELS} yet. Train one first: {TRY} train --corpus lotr"
            )
        name = next(iter(folders)) if name is None else name
        if name not in folders:
            raise RefusedError(
                404, f"There is no model '{name[:_LONGEST_SHOWN]}' here; there are: {', '.join(folders)}."
            )
        return name, self._read(folders[name])

    def _read(self, folder: Path) -> TrainedModel:
        key = folder, saved_at(folder)
        with self._lock:  # what two want is read once
            if key not in self._at_hand:
                self._at_hand[key] = load(folder)
            self._at_hand.move_to_end(key)
            while len(self._at_hand) > MOST_MODELS_AT_HAND:
                self._at_hand.popitem(last=False)
            return self._at_hand[key]


def _by_name(folders: Sequence[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().name
        if named.setdefault(name, folder).resolve() != folder.resolve():
            raise SettingError(f"Two models are called {name}: leave one out, or rename its folder.")
    return named


def _described(folder: Path) -> dict[str, str | None]:
    """What of a model can be told without reading its weights; or why not even that."""
    try:
        architecture, text = read_config(folder)
    except WordgenError as error:
        return {"corpus": None, "network": None, "problem": str(error)}
    widths = " ".join(map(str, dict.fromkeys(architecture.widths)))
    network = f"{architecture.layers} x {widths} {architecture.cell.upper()}, {architecture.vocabulary_size:,} symbols"
    return {"corpus": text.corpus, "network": network, "problem": None}
