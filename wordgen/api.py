"""The Python API: train, resume, evaluate, export and load. Settings have the names of the command-line flags.

Error messages use the names of Python: `seq_len` where the command line has `--seq-len`.
"""

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from wordgen.errors import SettingError
from wordgen.evaluation.settings import EvaluationSettings, Watcher
from wordgen.generation.trained import TrainedModel
from wordgen.report.page import ReportPage
from wordgen.run.defaults import complete_settings
from wordgen.run.evaluate import Evaluation
from wordgen.run.evaluate import evaluate as measure
from wordgen.run.folder import find_model
from wordgen.run.names import use_models_folder
from wordgen.run.settings import TrainSettings
from wordgen.run.train import Run, resume_run, train_run
from wordgen.settings import errors_in_python_terms
from wordgen.training.reports import Observer, Observers

_NOT_SETTINGS = ("run", "models", "quiet")
"""Parameters of `train` and `resume` that are not settings of a run."""


def train(
    *,
    # the settings
    corpus: str | Path | Sequence[str | Path],
    encoding: Literal["auto", "utf-8", "utf-16", "cp1252", "latin-1", "cp932", "shift_jis", "euc_jp"] | None = None,
    passage: Literal["auto", "line", "paragraph", "section", "document", "tune"] | None = None,
    line_breaks: Literal["auto", "joined", "kept"] | None = None,
    transpose: Literal["common", "none", "augment"] | None = None,
    keep_boilerplate: bool | None = None,
    drop_latin: bool | None = None,
    fold_width: bool | None = None,
    tokenizer: (
        Literal["auto", "english", "japanese", "characters", "whitespace", "abc", "notes", "chords"] | None
    ) = None,
    vocab_size: int | None = None,
    min_count: int | None = None,
    base_words: int | None = None,
    unknown: Literal["token", "spell"] | None = None,
    validation_share: float | None = None,
    test_share: float | None = None,
    layers: int | None = None,
    units: int | Sequence[int] | None = None,
    cell: Literal["lstm", "gru", "rnn"] | None = None,
    embedding: int | None = None,
    tied: bool | None = None,
    init_from: str | None = None,
    from_scratch: bool | None = None,
    dropout: float | None = None,
    input_dropout: float | None = None,
    output_dropout: float | None = None,
    locked_dropout: bool | None = None,
    word_dropout: float | None = None,
    weight_drop: float | None = None,
    seq_len: int | None = None,
    batch_size: int | None = None,
    vary_seq_len: bool | None = None,
    epochs: int | None = None,
    time_budget: str | None = None,
    patience: int | None = None,
    optimizer: Literal["rmsprop", "adam", "sgd"] | None = None,
    learning_rate: float | None = None,
    rho: float | None = None,
    schedule: Literal["constant", "exponential", "plateau", "cosine"] | None = None,
    decay: float | None = None,
    decay_after: int | None = None,
    warm_up: int | None = None,
    weight_decay: float | None = None,
    label_smoothing: float | None = None,
    average_after: int | None = None,
    sampled_output: int | None = None,
    clip: float | None = None,
    clip_value: float | None = None,
    random_seed: int | None = None,
    validate_every: int | None = None,
    sample_every: int | None = None,
    log_every: int | None = None,
    checkpoint_every: str | None = None,
    copy_index: bool | None = None,
    histograms: bool | None = None,
    precision: Literal["auto", "float32", "bfloat16"] | None = None,
    distribute: Literal["auto", "none", "mirrored", "multiworker"] | None = None,
    local_devices: int | None = None,
    force_memory: bool | None = None,
    join_timeout: int | None = None,
    recipe: str | None = None,
    name: str | None = None,
    overwrite: bool | None = None,
    # their end
    models: str | Path | None = None,
    quiet: bool = False,
) -> Run:
    """Train a model and save its best epoch in saved_models/. Show the progress, unless `quiet` is True.

    `models` replaces the folder saved_models/. The other functions need the same value to find the run.

    >>> run = wordgen.train(corpus="lotr", layers=1, units=128, epochs=5)

    A setting that is None has the value of the recipe, or its default. If you give no recipe and no setting of the
    network or of the training, wordgen chooses a recipe for the text (`recipe="none"` chooses none).

    Settings:
        corpus: the text to train on: a name that `wordgen corpora` lists, text files (.txt, .txt.gz, .md, .html,
            .docx or .epub), music (.abc or .mid), a folder of such files, or - for standard input
        encoding: the character encoding of the files; auto recognises it and shows what it found (default: auto)
        passage: what START and END enclose: a line, a paragraph, a section (the text between two or more blank
            lines, for example a song), a document or a tune in ABC; auto uses the catalogue or the layout of the
            text, and shows its choice (default: auto)
        line_breaks: whether the line breaks within a passage are kept as tokens (for verse and plays) or joined
            with spaces (for prose); auto decides by the layout (default: auto)
        transpose: for tunes in ABC: train on all of them in the key of their mode without sharps and flats, for
            example C major or A minor (common), in their own keys (none), or each tune in five keys (augment)
            (default: common)
        keep_boilerplate: keep the notices and marks that Project Gutenberg and Aozora Bunko add to texts (default:
            False)
        drop_latin: leave out words in Latin letters, for example the English words of Japanese lyrics; the plan
            shows their number (default: False)
        fold_width: read full-width letters, digits and punctuation as ASCII, and half-width katakana as full-width
            (default: False)
        tokenizer: how text is cut into tokens; auto uses the catalogue, the kind of the files (abc for tunes in
            ABC, notes for MIDI) or the script of the text; chords uses only the pitches of MIDI files (default:
            auto)
        vocab_size: the maximum number of tokens in the vocabulary; a small vocabulary trains faster, a large one
            contains rare words (default: 8000, or all words of a benchmark that has its own test set)
        min_count: words that occur less often become UNKNOWN; 1 keeps all words, but then the model never learns
            UNKNOWN (default: 2, or 1 for such a benchmark)
        base_words: with init_from: add this number of the most frequent words of that model to the vocabulary, even
            if the text does not have them (default: 0)
        unknown: words outside the vocabulary: token replaces each of them by UNKNOWN; spell spells them out in
            bytes, so that the model can read and write any word (default: token)
        validation_share: the share of the passages in the validation set; it has no effect if the text has its own
            sets (default: 0.05)
        test_share: the share of the passages in the test set (default: 0.05)
        layers: the number of recurrent layers; 1 trains fastest, 3 can learn more from a book (default: 3)
        units: the number of units of each recurrent layer; 128 is fast, 512 remembers more; several numbers give
            one for each layer (default: 512)
        cell: the kind of recurrent layer; gru is smaller than lstm, rnn is the simplest (default: lstm)
        embedding: the length of the word vectors; by default the number of units of the last layer
        tied: use the word vectors as output weights, too: fewer parameters, often better for small texts (default:
            False)
        init_from: begin with the weights of another model: the name of a run, the folder of a model, or a base that
            comes with wordgen. The run takes the shape of the network and the tokenizer from it; by default the
            base that has the same tokenizer and shape, if there is one
        from_scratch: begin with random weights, not from a base (default: False)
        dropout: the share of the values between layers that are set to zero in training; 0 to 0.3 for large texts
            (default: 0.3)
        input_dropout: dropout before the first layer; by default the same as dropout
        output_dropout: dropout after the last layer; by default the same as dropout
        locked_dropout: set the same values to zero for all tokens of a step, which disturbs the state of the
            network less (default: False)
        word_dropout: the share of words whose vectors are set to zero everywhere in a step (default: 0.0)
        weight_drop: the share of the recurrent weights that are set to zero in a step (default: 0.0)
        seq_len: the number of tokens in a step; the gradient is followed back through all of them, so with more
            tokens the network learns connections over longer distances (default: 15)
        batch_size: the number of places of the text that are read at the same time; a small number is better for
            small texts (default: 16)
        vary_seq_len: vary the length of the steps between 0.5 and 1.5 times seq_len (default: False)
        epochs: the maximum number of epochs (passes through the training set); patience usually ends the run
            earlier (default: 12)
        time_budget: train for about this time (for example 90s, 20m or 1.5h) and ignore epochs; the speed is
            measured first (by default, no time limit)
        patience: stop after this number of epochs without a better validation perplexity (default: 3)
        optimizer: the rule that updates the weights; rmsprop and adam need no tuning, sgd does (default: rmsprop)
        learning_rate: the size of the updates; by default 0.001 for rmsprop and adam, 1.0 for sgd
        rho: the share of the mean of squared gradients that rmsprop keeps in each step (default: 0.9)
        schedule: how the learning rate changes: constant does not change it; exponential lowers it after each
            epoch, beginning after decay_after epochs; plateau lowers it after an epoch without a better validation
            perplexity; cosine lowers it to 1/50 over the whole run (default: constant)
        decay: the factor that lowers the learning rate, for schedule exponential (default: 0.8) and plateau
            (default: 0.5)
        decay_after: the number of epochs at the full learning rate before schedule exponential lowers it (default:
            4)
        warm_up: the number of steps in which the learning rate rises from 0; by default 200 (at most a tenth of the
            run) with schedule cosine, otherwise 0
        weight_decay: how much all weights shrink in a step, times the learning rate; usual values are 1e-6 for sgd
            and 0.01 for adam (default: 0.0)
        label_smoothing: the share of the target probability that is spread evenly over all tokens; perplexity is
            computed without it (default: 0.0)
        average_after: average the weights of all later steps as soon as an epoch is worse than the best epoch
            before it, without counting this number of epochs directly before it; usual with sgd at a constant
            learning rate (by default, never)
        sampled_output: compute the loss of a step with only this number of tokens of the vocabulary, half of them
            the most frequent and half drawn at random: faster with large vocabularies (by default, with all tokens)
        clip: the maximum norm of the gradient of all weights; a longer gradient is scaled down to it; 0 never clips
            (default: 1.0)
        clip_value: the maximum size of each value of the gradient, positive or negative; applied before clip; 0
            sets no limit (default: 0.0)
        random_seed: the number that determines everything random; the same number gives the same run (default: 1)
        validate_every: validate also within an epoch, each time after this number of steps, and keep the model if
            it is the best so far (by default, only after each epoch)
        sample_every: write samples also within an epoch, each time after this number of steps (by default, only
            after each epoch)
        log_every: report each multiple of this number of steps on the screen, in the JSON log and in TensorBoard
            (by default, one step in ten seconds, one per second, and every tenth step)
        checkpoint_every: how often to save a checkpoint for resume, in addition to the end of each epoch: steps
            (for example 500) or minutes (for example 10m) (default: 10m)
        copy_index: save a searchable index of the training text with the model, so that generate can find and
            forbid copies; use copy_index=False if others may get the model but not the text, nor its rare words,
            which replace UNKNOWN (default: True)
        histograms: also write the distribution of all weights for TensorBoard after each epoch (default: False)
        precision: the type of the numbers to compute with; weights and loss are always float32; auto uses bfloat16
            if the hardware supports it; a run keeps the type that it began with (default: auto)
        distribute: the devices to train on: none is one device; mirrored is all GPUs (or local_devices) of this
            machine; multiworker is the workers that TF_CONFIG or SLURM names; auto is all GPUs of this machine, or
            the CPU if there is none (default: auto)
        local_devices: split the CPU into this number of devices, to try what several GPUs would do (by default, do
            not split)
        force_memory: train even if the plan needs more memory than the machine has (default: False)
        join_timeout: the number of seconds that a worker waits for the others (default: 300)
        recipe: settings that work well together: the name of a recipe that comes with wordgen, a file of your own
            that ends in .toml, auto (chosen by the text) or none. Other settings have priority over the recipe.
            With another optimizer, its learning rate and rho are not used; with another schedule, its decay and
            decay after. By default head-start for a run that begins from another model; for other runs auto, or
            none if a setting of the network or the training is given
        name: the name of the run in saved_models/; by default the corpus and the time
        overwrite: replace a run of the same name as soon as the new run has a model (default: False)
    """
    given = {name: value for name, value in locals().items() if name not in _NOT_SETTINGS and value is not None}
    with _runs_in(models):
        observer = _progress_observer(quiet=quiet)
        return train_with(complete_settings(given, observer.downloading), [observer])


def resume(
    run: str | Path | None = None,
    *,
    epochs: int | None = None,
    checkpoint_every: str | None = None,
    histograms: bool | None = None,
    distribute: Literal["auto", "none", "mirrored", "multiworker"] | None = None,
    local_devices: int | None = None,
    force_memory: bool | None = None,
    join_timeout: int | None = None,
    sample_every: int | None = None,
    log_every: int | None = None,
    models: str | Path | None = None,
    quiet: bool = False,
) -> Run:
    """Resume a run that was stopped or killed. The result is the same as if it had never stopped.

    >>> run = wordgen.resume("my-book", epochs=40)

    `run` is the name or the folder of a run; by default, the newest run. `epochs` may be larger than before. The other
    settings choose the devices, how often checkpoints are saved, and what is shown; `train` describes them.
    """
    given = {name: value for name, value in locals().items() if name not in _NOT_SETTINGS and value is not None}
    with _runs_in(models):
        return resume_with(None if run is None else str(run), given, [_progress_observer(quiet=quiet)])


def train_with(settings: TrainSettings, observers: Sequence[Observer] = (), *, models: str | Path | None = None) -> Run:
    """Train a model with complete settings, save its best epoch, and write report.html.

    The observers receive the progress. If several workers train together, each calls this function. Only the chief
    writes files and calls the observers.
    """
    with use_models_folder(models):
        return train_run(settings, [*observers, ReportPage(Observers(observers))])


def resume_with(
    run: str | None = None, changes: Mapping[str, object] | None = None, observers: Sequence[Observer] = ()
) -> Run:
    """Resume a run as `train_with` trains a new one. Without a name, resume the newest run."""
    return resume_run(run, changes, [*observers, ReportPage(Observers(observers))])


def evaluate(
    model: str | Path | TrainedModel | None = None,
    split: str | Path = "test",
    watcher: Watcher | None = None,
    *,
    samples: int = EvaluationSettings.samples,
    cache: int | None = None,
    dynamic: bool = False,
    models: str | Path | None = None,
) -> Evaluation:
    """Measure how well a model predicts a text, and how much it copies from its training text.

    >>> wordgen.evaluate("lotr", split="valid").perplexity

    `model` is the name of a run, the folder of a model, or a model from `wordgen.load`; by default, the newest model.
    `split` is "valid" or "test" for a set of the model's own corpus, or the path of a text file or folder. The model
    writes `samples` texts to measure copies, always the same ones; 0 leaves this out. `cache` and `dynamic` also
    measure the model while it adapts to the text: with a cache of that many tokens, and by training on the text.
    """
    with _runs_in(models):
        settings = EvaluationSettings(samples=samples, cache=cache, dynamic=dynamic)
        return measure(model, str(split), settings, watcher or Watcher())


def export(
    model: str | Path | None = None,
    to: Literal["onnx", "keras", "base"] = "onnx",
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    models: str | Path | None = None,
) -> Path:
    """Export a model for other programs, and return the path of the new file or folder.

    >>> wordgen.export("my-book", to="keras")

    "onnx" and "keras" write one file that computes one step of the network. "base" writes a folder: the model with
    8-bit weights. Without `output`, the new file is in the working folder and has the name of the model.
    """
    from wordgen.exporting import check_output_path
    from wordgen.exporting import export as write
    from wordgen.model.bundle import load_bundle

    with _runs_in(models):
        if to not in ("onnx", "keras", "base"):
            raise SettingError(f"--to must be one of onnx, keras, base, not {to!r}.")
        folder = find_model(model)
        path = Path(f"{folder.resolve().name}.{to}" if output is None else output)
        check_output_path(to, path, overwrite=overwrite)
        write(load_bundle(folder), to, path, overwrite=overwrite)
        return path


def load(model: str | Path | None = None, *, models: str | Path | None = None) -> TrainedModel:
    """Load a trained model by the name of its run or by its folder. Without an argument, load the newest model.

    >>> print(wordgen.load("my-book").generate("The sea", length=60)[0])
    """
    with _runs_in(models):
        return TrainedModel.load(find_model(model))


@contextmanager
def _runs_in(models: str | Path | None) -> Generator[None]:
    """Set the folder of runs within the block. Its errors name the settings as Python does."""
    with errors_in_python_terms(), use_models_folder(models):
        yield


def _progress_observer(*, quiet: bool) -> Observer:
    from wordgen.training.progress import QuietProgress, TerminalProgress
    from wordgen.training.screen import screen

    return QuietProgress(screen(sys.stderr)) if quiet else TerminalProgress(screen())
