"""The folders of runs in saved_models/: made, replaced, found again."""

import difflib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from wordgen.bundle import CONFIG, WEIGHTS, is_bundle, load_bundle
from wordgen.errors import BundleError, SettingError
from wordgen.files import make_folder, told_plainly
from wordgen.generation.trained import TrainedModel

SAVED_MODELS = Path("saved_models")

_NAME = re.compile(r"\w[\w.+-]{0,99}")
_SET_ASIDE = ".before"


def run_name(wanted: str | None, corpus: str) -> str:
    """The wanted name, if it can be one; else the corpus and the time."""
    if wanted is None:
        plain = re.sub(r"[^\w.+-]+", "-", corpus).strip("-.")[:60] or "run"
        return f"{plain}-{datetime.now():%Y%m%d-%H%M%S}"
    if not _NAME.fullmatch(wanted) or wanted.endswith(_SET_ASIDE):
        raise SettingError(
            f"--name cannot be '{wanted}': take up to 100 letters, digits, dots and dashes, "
            "beginning with a letter or digit."
        )
    return wanted


def folder_for(name: str, *, overwrite: bool) -> Path:
    """Where the run of this name will lie; a name in use is refused."""
    if (SAVED_MODELS / name).exists() and not overwrite:
        raise SettingError(f"There is a run '{name}' already: take another --name, or --overwrite to replace it.")
    return SAVED_MODELS / name


@contextmanager
def made_new(folder: Path) -> Iterator[None]:
    """Make the folder of a run, empty, for the time of its training.

    A run that it replaces is set aside until the new one has a whole model, and comes back if that
    never happens; a folder in which no model came to be is removed.
    """
    aside = folder.with_name(folder.name + _SET_ASIDE)
    with told_plainly(folder):
        if is_bundle(folder):
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
        elif folder.exists():
            shutil.rmtree(folder)
    make_folder(folder)
    try:
        yield
    finally:
        if is_bundle(folder):
            shutil.rmtree(aside, ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            if aside.exists():
                aside.rename(folder)


def find_model(model: str | Path | None = None) -> Path:
    """The folder of a trained model: a path, a run's name, or the newest where nothing is given."""
    if model is None:
        return _newest()
    for folder in (Path(model), SAVED_MODELS / model):
        if is_bundle(folder):
            return folder
    names = [folder.name for folder in _trained()]
    near = difflib.get_close_matches(str(model), names, n=1)
    if Path(model).exists() or (SAVED_MODELS / model).exists():
        raise BundleError(f"{model} holds no trained model: {CONFIG} is missing.")
    hint = f"Did you mean {near[0]}?" if near else f"Trained so far: {', '.join(names) or 'none'}."
    raise BundleError(f"There is no model '{model}', neither as a folder nor in {SAVED_MODELS}. {hint}")


def load(model: str | Path | None = None) -> TrainedModel:
    """A trained model by its folder or its run's name; the newest one when nothing is given."""
    return TrainedModel(load_bundle(find_model(model)))


def _trained() -> list[Path]:
    if not SAVED_MODELS.is_dir():
        return []
    return sorted(folder for folder in SAVED_MODELS.iterdir() if is_bundle(folder))


def _newest() -> Path:
    trained = _trained()
    if not trained:
        raise BundleError(
            f"There is no trained model in {SAVED_MODELS} yet. Train one first: python train.py --corpus lotr"
        )
    return max(trained, key=_saved_at)


def _saved_at(folder: Path) -> float:
    weights = folder / WEIGHTS
    return weights.stat().st_mtime if weights.exists() else 0.0
