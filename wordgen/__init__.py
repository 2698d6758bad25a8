"""wordgen: learn a text you love, and write on in its manner.

>>> import wordgen
>>> run = wordgen.train(corpus="lotr", layers=1, units=128)
>>> model = wordgen.load(run.folder)
>>> print(model.generate("Aragorn", length=60)[0].text)
>>> print(wordgen.evaluate(model).verdict)

Everything is imported when it is first asked for: TensorFlow by `train` alone.
"""

TYPE_CHECKING = False  # as typing has it, without an import: nothing is imported before the command has begun

__version__ = "0.1.0"

if TYPE_CHECKING:
    from wordgen.api import evaluate, export, load, resume, train
    from wordgen.errors import WordgenError
    from wordgen.evaluating import Evaluation
    from wordgen.generation.settings import GenerationSettings
    from wordgen.generation.texts import Text
    from wordgen.generation.trained import TrainedModel
    from wordgen.run_end import Run
    from wordgen.run_settings import TrainSettings
    from wordgen.runs import train_with
    from wordgen.training.reports import Observer

__all__ = [
    "Evaluation",
    "GenerationSettings",
    "Observer",
    "Run",
    "Text",
    "TrainSettings",
    "TrainedModel",
    "WordgenError",
    "evaluate",
    "export",
    "load",
    "resume",
    "train",
    "train_with",
]

_HOMES = {
    "Evaluation": "wordgen.evaluating",
    "GenerationSettings": "wordgen.generation.settings",
    "Observer": "wordgen.training.reports",
    "Run": "wordgen.run_end",
    "Text": "wordgen.generation.texts",
    "TrainSettings": "wordgen.run_settings",
    "TrainedModel": "wordgen.generation.trained",
    "WordgenError": "wordgen.errors",
    "evaluate": "wordgen.api",
    "export": "wordgen.api",
    "load": "wordgen.api",
    "resume": "wordgen.api",
    "train": "wordgen.api",
    "train_with": "wordgen.runs",
}


def __dir__() -> "list[str]":
    return [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'wordgen' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
