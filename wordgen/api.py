"""What Python programs call: train, resume, evaluate, export and load, with the settings of the command line by name.

What is refused is told in the words of Python: `seq_len`, where the command line says `--seq-len`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wordgen import evaluating, run_folder
from wordgen.complete_settings import settings_of
from wordgen.errors import SettingError
from wordgen.evaluation.settings import EvaluationSettings
from wordgen.generation.trained import TrainedModel
from wordgen.run_end import Run
from wordgen.runs import resume_with, train_with
from wordgen.settings import speaking_python
from wordgen.training.reports import Observer

if TYPE_CHECKING:
    from wordgen.evaluating import Evaluation
    from wordgen.evaluation.watcher import Watcher


def train(
    *,
    # the settings
    corpus: str | Path | Sequence[str | Path],
    encoding: Literal["auto", "utf-8", "utf-16", "cp1252", "latin-1", "cp932", "shift_jis", "euc_jp"] | None = None,
    unit: Literal["auto", "line", "paragraph", "document"] | None = None,
    line_breaks: Literal["auto", "joined", "kept"] | None = None,
    keep_boilerplate: bool | None = None,
    fold_width: bool | None = None,
    tokenizer: Literal["auto", "english", "japanese", "characters", "whitespace"] | None = None,
    vocab_size: int | None = None,
    min_count: int | None = None,
    base_words: int | None = None,
    unknown: Literal["token", "spell"] | None = None,
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
    schedule: Literal["constant", "exponential", "plateau", "cosine"] | None = None,
    decay: float | None = None,
    decay_after: int | None = None,
    warm_up: int | None = None,
    weight_decay: float | None = None,
    layer_decay: float | None = None,
    pull: float | None = None,
    label_smoothing: float | None = None,
    average_after: int | None = None,
    sampled_output: int | None = None,
    clip: float | None = None,
    random_seed: int | None = None,
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
    quiet: bool = False,
) -> Run:
    """Train a model, keep the best of it in saved_models/, and show the progress unless it is to be `quiet`.

    >>> run = wordgen.train(corpus="lotr", layers=1, units=128, epochs=5)

    What is None is as the recipe has it, or as by default. Without a recipe, and with no setting of the network or
    of learning, one is taken that suits the text (`recipe="none"` takes none).

    Settings:
        corpus: the text to learn: a name that `wordgen corpora` lists, text files (.txt, .txt.gz, .md, .html, .docx
            or .epub), a folder of them, or - for standard input
        encoding: how the files spell letters as bytes; auto recognises it and says what it found (default: auto)
        unit: what stands for itself; auto takes the catalogue's word or looks at the text, and says so (default:
            auto)
        line_breaks: whether breaks between the lines of a unit are symbols (verse, plays) or mere wraps (prose)
            (default: auto)
        keep_boilerplate: keep what Project Gutenberg and Aozora Bunko put around and into their texts (default:
            False)
        fold_width: read full-width letters, digits and punctuation as ASCII, and half-width katakana as full-width
            (default: False)
        tokenizer: how text is cut into symbols; auto takes the catalogue's word or looks at the script (default:
            auto)
        vocab_size: most symbols to know; fewer train faster, more know rare words (default: 8000; all words of a
            benchmark with splits of its own)
        min_count: words seen less often become UNKNOWN_TOKEN; 1 keeps all, but UNKNOWN is then never learned
            (default: 2; 1 in such a benchmark)
        base_words: with init_from: know so many of the commonest words of that model, whether or not the text has
            them (default: 0)
        unknown: words outside the vocabulary: token makes all of them UNKNOWN_TOKEN, spell spells them out in
            bytes, so any text can be written and read (default: token)
        layers: stacked recurrent layers; 1 learns fastest, 3 can tell more of a book (default: 3)
        units: width of each recurrent layer; 128 is quick, 512 remembers more; several numbers are one for each
            layer (default: 512)
        cell: kind of recurrent layer; gru is a little lighter, rnn the historic one (default: lstm)
        embedding: width of the word vectors; by default as wide as the layers
        tied: use the word vectors as output weights too: fewer parameters, often better on small texts (default:
            False)
        init_from: begin with the weights of another model: a run's name, a model's folder, or a base that comes
            with wordgen; the shape of the network and the tokenizer are then that model's (by default the base that
            has the language, the tokenizer and the shape, if there is one)
        from_scratch: begin with random weights, and never from a base: to see a network learn from nothing
            (default: False)
        dropout: share of values blanked between layers while learning; 0 to 0.3 on large texts (default: 0.3)
        input_dropout: the same before the first layer; by default as dropout
        output_dropout: the same behind the last layer; by default as dropout
        locked_dropout: blank the same values in all symbols of a step, which disturbs the network's memory less
            (default: False)
        word_dropout: share of words whose vectors are blanked wherever they stand in a step (default: 0.0)
        weight_drop: share of the recurrent weights that are blanked for a step (default: 0.0)
        seq_len: symbols per step that errors are traced back through; longer learns longer links (default: 15)
        batch_size: places of the text read side by side; small texts learn better with few (default: 16)
        vary_seq_len: steps of differing lengths, between half and one and a half of seq_len (default: False)
        epochs: most passes over the text; patience usually ends it sooner (default: 12)
        time_budget: learn for about so long (as 90s, 20m or 1.5h), whatever epochs says; the speed is measured
            first (by default there is none)
        patience: stop after so many epochs without a better validation perplexity (default: 3)
        optimizer: how weights are moved; rmsprop and adam need no tuning, sgd does (default: rmsprop)
        learning_rate: size of the moves; by default 0.001 for rmsprop and adam, 1.0 for sgd
        schedule: how the learning rate goes: constant; exponential decay after decay_after epochs; halving on a
            plateau; or a cosine down to a fiftieth over the whole run (default: constant)
        decay: what exponential multiplies the rate by after each epoch (default: 0.8), and plateau after one
            without a better validation perplexity (default: 0.5)
        decay_after: epochs at the full rate before exponential begins to decay (default: 4)
        warm_up: steps in which the rate rises from nothing; by default 200 (or a tenth of the run) with cosine,
            else 0
        weight_decay: how much all weights shrink in a step, times the learning rate; 1e-6 is usual with sgd, 0.01
            with adam (default: 0.0)
        layer_decay: multiply the learning rate by this once more in each layer below the output, the word vectors
            last; below 1 a run that begins from another model changes its lower layers less (default: 1.0)
        pull: how much all weights go back in a step to those that the run began with, times the learning rate
            (default: 0.0)
        label_smoothing: share of the odds that learning aims to give to all symbols alike; perplexity is told
            without it (default: 0.0)
        average_after: average the weights of all further steps once an epoch is worse than the best of the epochs
            before it, the last so many left out; usual with sgd at a constant rate (by default never)
        sampled_output: compare each symbol with so many others in a step, half of them the commonest and half
            drawn, and not with all: faster with large vocabularies (by default with all)
        clip: longest gradient (global norm) that is followed as it is; 0 never clips (default: 1.0)
        random_seed: a number from which all that is random follows; the same gives the same run (default: 1)
        checkpoint_every: how often to save what resume needs, besides after each epoch: steps (as 500) or minutes
            (as 10m) (default: 10m)
        copy_index: keep the training text beside the model, in an order that can be searched, so that generate can
            see and forbid copies of it; copy_index=False where the text must not be passed on with the model, nor
            its rare words, which are put in for UNKNOWN (default: True)
        histograms: once an epoch, write the distribution of all weights for TensorBoard too (default: False)
        precision: numbers to compute with; weights and loss are float32 always; auto takes bfloat16 where the
            hardware has it, and a run keeps what it began with (default: auto)
        distribute: what to learn on: none is one device; mirrored all GPUs (or local_devices) of this machine;
            multiworker the workers that TF_CONFIG or SLURM name; auto is every GPU here, or else the CPU (default:
            auto)
        local_devices: split the CPU into so many devices, to try what several GPUs would do (by default not)
        force_memory: learn even where the plan needs more memory than the machine has (default: False)
        join_timeout: how many seconds a worker waits for the others to appear (default: 300)
        recipe: begin with settings that go well together: the name of a file in recipes/, a file of your own that
            ends in .toml, auto, which goes by the text, or none; settings given beside it win, and another
            optimizer has its own learning rate; by default head-start for a run that begins from another model,
            else auto, but none where a setting of the network or of learning is given
        name: what to call the run in saved_models/; by default the corpus and the time
        overwrite: replace a run of the same name, once the new one has a model (default: False)
    """
    given = {name: value for name, value in locals().items() if name != "quiet" and value is not None}
    with speaking_python():
        watcher = _watcher(quiet=quiet)
        return train_with(settings_of(given, watcher.downloading), [watcher])


def resume(
    run: str | Path | None = None,
    *,
    epochs: int | None = None,
    checkpoint_every: str | None = None,
    distribute: Literal["auto", "none", "mirrored", "multiworker"] | None = None,
    local_devices: int | None = None,
    join_timeout: int | None = None,
    quiet: bool = False,
) -> Run:
    """Go on with a run that was stopped or killed, by its name or folder, as if it had never stopped.

    >>> run = wordgen.resume("my-book", epochs=40)

    Without a name it is the newest. The number of `epochs` may grow; the others say where it goes on and how often it
    is saved, and are described at `train`.
    """
    given = {name: value for name, value in locals().items() if name not in ("run", "quiet") and value is not None}
    with speaking_python():
        return resume_with(None if run is None else str(run), given, [_watcher(quiet=quiet)])


def evaluate(
    model: str | Path | TrainedModel | None = None,
    split: str | Path = "test",
    watcher: "Watcher | None" = None,
    *,
    samples: int = EvaluationSettings.samples,
    cache: int | None = None,
    dynamic: bool = False,
) -> "Evaluation":
    """Measure a model: a run's name, a folder or what `wordgen.load` gave; the newest when nothing is given.

    >>> wordgen.evaluate("lotr", split="valid").perplexity

    `split` is valid or test of the model's own corpus, or a text file or a folder of them. The model writes so many
    `samples` to see how new they are, always the same ones; with 0 that is left out. With a `cache` of so many
    symbols, and `dynamic`, it is measured again while it gets used to the text.
    """
    with speaking_python():
        return evaluating.evaluate(model, split, watcher, samples=samples, cache=cache, dynamic=dynamic)


def export(
    model: str | Path | None = None,
    to: Literal["onnx", "keras", "base"] = "onnx",
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Write the step of a model into one file for ONNX runtimes or for Keras: the path of that file.

    >>> wordgen.export("my-book", to="keras")

    Or, as a base, the model with 8-bit weights into a folder. Without `output` it lies in the working folder and is
    called as the model is.
    """
    from wordgen.bundle import load_bundle
    from wordgen.exporting.writing import check_place
    from wordgen.exporting.writing import export as write

    with speaking_python():
        if to not in ("onnx", "keras", "base"):
            raise SettingError(f"--to must be one of onnx, keras, base, not {to!r}.")
        folder = run_folder.find_model(model)
        path = Path(f"{folder.resolve().name}.{to}" if output is None else output)
        check_place(to, path, overwrite=overwrite)
        write(load_bundle(folder), to, path, overwrite=overwrite)
        return path


def load(model: str | Path | None = None) -> TrainedModel:
    """A trained model by its folder or its run's name, ready to write; the newest one when nothing is given.

    >>> print(wordgen.load("my-book").generate("The sea", length=60)[0])
    """
    with speaking_python():
        return run_folder.load(model)


def _watcher(*, quiet: bool) -> Observer:
    from wordgen.training.progress import QuietProgress, TerminalProgress
    from wordgen.training.screen import screen

    return QuietProgress(screen(sys.stderr)) if quiet else TerminalProgress(screen())
