"""wordgen: train a language model on a text and generate new text in its style.

>>> import wordgen
>>> run = wordgen.train(corpus="lotr", layers=1, units=128)
>>> model = wordgen.load(run.folder)
>>> print(model.generate("Aragorn", length=60)[0].text)
>>> print(wordgen.evaluate(model).verdict)

`import wordgen` alone imports no other module: each name is imported when it is first used. Loading a model, generating
text and evaluating (without `dynamic`) do not import TensorFlow.
"""

TYPE_CHECKING = False  # type checkers take it for typing.TYPE_CHECKING, whose import would slow down each command

__version__ = "0.1.0"

if TYPE_CHECKING:
    from wordgen.api import evaluate, export, load, resume, train, train_with
    from wordgen.errors import WordgenError
    from wordgen.generation.settings import GenerationSettings
    from wordgen.generation.texts import Text
    from wordgen.generation.trained import TrainedModel
    from wordgen.run.evaluate import Evaluation
    from wordgen.run.settings import TrainSettings
    from wordgen.run.train import Run
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

_MODULES = {
    "wordgen.api": ("evaluate", "export", "load", "resume", "train", "train_with"),
    "wordgen.errors": ("WordgenError",),
    "wordgen.generation.settings": ("GenerationSettings",),
    "wordgen.generation.texts": ("Text",),
    "wordgen.generation.trained": ("TrainedModel",),
    "wordgen.run.evaluate": ("Evaluation",),
    "wordgen.run.settings": ("TrainSettings",),
    "wordgen.run.train": ("Run",),
    "wordgen.training.reports": ("Observer",),
}


def __dir__() -> "list[str]":
    return [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(module), name)
    raise AttributeError(f"module 'wordgen' has no attribute '{name}'")
