"""Make report.html of a run from its record: the values for the template, and the observer that writes the page."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, fields
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from wordgen.corpus.catalogue import SET_NAMES
from wordgen.errors import pluralized
from wordgen.evaluation import figures
from wordgen.evaluation.figures import MARGIN_EXPLAINED, shown_duration, thinned
from wordgen.evaluation.measurement import Loss, Measurement
from wordgen.files import write_atomically
from wordgen.model.architecture import Architecture, shown_units
from wordgen.report.chart import FRAME, chart
from wordgen.report.music import sample_of_music, scripts
from wordgen.run.commands import commands_about, evaluating_command, resuming_command
from wordgen.run.names import SAVED_MODELS, models_folder, name_of
from wordgen.run.record import DIVERGED, STOPPED, RunRecord, load_record
from wordgen.settings import flag_name
from wordgen.training.reports import EpochReport, Observer, SampleReport

PAGE = "report.html"
_FORBIDDEN_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that an HTML page cannot contain: control characters, surrogates and two non-characters."""
_MAX_POINTS = 2000
_MAX_ROWS = 500
_MAX_SAMPLE_EPOCHS = 60
"""The largest number of epochs with samples on the page. Most of them are folded."""
_CELL_NAMES = {"lstm": "LSTM", "gru": "GRU", "rnn": "plain recurrent"}
_MODE_DESCRIPTIONS = {
    "greedy": "Greedy: always the most probable token",
    "sample": "Sampled: each token is drawn by its probability",
}
Context = dict[str, object]


class ReportPage(Observer):
    """Writes the page when the record of a run is complete, and reports that to another observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def recorded(self, folder: Path) -> None:
        """Write the page. Errors become warnings, since model and record are already written."""
        try:
            page = write_page(folder)
        except Exception as error:
            self._observer.warned(f"The report page could not be written. {error}")
            return
        self._observer.page_written(page)


def write_page(folder: Path) -> Path:
    """Write the page of the run in a folder and return its path. The run has the name by which commands find it."""
    path = folder / PAGE
    write_atomically(path, render_page(name_of(folder), load_record(folder)).encode("utf-8"))
    return path


def render_page(run: str, record: RunRecord) -> str:
    template = page_environment("wordgen.report").get_template("report.html.j2")
    return template.render(
        run=run,
        record=record,
        frame=FRAME,
        scripts=scripts() if record.is_music else None,
        language="ja" if record.text.tokenizer == "japanese" else "",
        verdict=record.verdict,
        state=_state(run, record),
        headline=list(_headline(record)),
        comparison=_comparison(run, record),
        curves=_curves(record),
        samples=list(_samples(record)),
        music=next((each.music for each in _measurements_test_first(record) if each.music is not None), None),
        novelty=_novelty(record),
        text=_text(record),
        network=_network(record.architecture),
        settings=_settings(record),
        command_section=_command_section(run, record),
    )


@cache
def page_environment(package: str) -> Environment:
    """Return the environment for the templates of a package. All text that they insert is escaped."""
    environment = Environment(
        loader=PackageLoader(package, ""),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        finalize=without_control_characters,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def without_control_characters(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _FORBIDDEN_CHARACTERS.sub("\ufffd", value.replace("\r\n", "\n").replace("\r", "\n"))


def _state(run: str, record: RunRecord) -> Context:
    done = len(record.epochs)
    has_time_budget = record.settings.time_budget is not None
    most = "" if has_time_budget else f" of at most {record.settings.epochs}"
    reached = f"after {pluralized(done, 'epoch')}" if done else "before its first epoch was measured"
    if record.ended == STOPPED:
        current_epoch = 1 + sum(map(record.is_complete, record.epochs))
        current_epoch = current_epoch if has_time_budget else min(current_epoch, record.settings.epochs)
        sentence = f"The run was stopped in epoch {current_epoch}{most}. This command resumes it: "
    elif record.ended == DIVERGED:
        sentence = f"The run diverged {reached}: the loss became too large. The best model before that is kept."
    elif record.ended is None:
        sentence = f"The run had not finished when this page was written, {reached}."
    else:
        sentence = f"The run ended {reached}{most}: {record.ended}."
    return {"sentence": sentence, "command": resuming_command(run) if record.ended == STOPPED else None}


def _headline(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and explanation of the most important figures. Perplexities are on the validation set."""
    best, valid = record.best, record.measured.get("valid")
    if best is not None:
        yield "validation perplexity", figures.perplexity(best.valid_perplexity), f"{best.label}, the best"
    if record.ngram is not None:
        order, perplexity = record.ngram
        yield f"{order}-gram", figures.perplexity(perplexity), "its validation perplexity"
    if record.word_frequencies is not None:
        yield "word frequencies", figures.perplexity(record.word_frequencies), "their validation perplexity"
    if valid is not None:
        yield "bits per character", figures.bits(valid.loss.bits_per(valid.characters)), "on the validation set"
        if record.text.tokenizer == "characters":
            yield "nats per character", figures.bits(valid.loss.nats_per(valid.characters)), "on the validation set"
    yield "parameters", figures.rounded(record.architecture.parameters), "weights of the network"
    yield "time", shown_duration(record.training_seconds), f"for {pluralized(len(record.epochs), 'epoch')}"


def _comparison(run: str, record: RunRecord) -> Context:
    """Compare the model with counting, on each set that it was measured on."""
    measured, by_characters = record.measured, record.text.tokenizer == "characters"
    every = list(measured.values())
    notes: list[str] = []
    for part, each in measured.items():
        notes += [
            f"On the {SET_NAMES[part]}: {sentence[0].lower()}{sentence[1:]}"
            for sentence in each.chosen_values_in_words(part)
        ]
        notes += each.notes
    return {
        "parts": [SET_NAMES[part] for part in measured],
        "perplexities": _rows(every, lambda loss, _: figures.perplexity(loss.perplexity, loss.margin)),
        "bits": _rows(every, lambda loss, each: _bits(loss, each.characters)),
        "nats": _rows(every, lambda loss, each: _nats(loss, each.characters)) if by_characters else [],
        "parts_with_notes": [SET_NAMES[part] for part, each in measured.items() if each.music_notes],
        "bits_per_note": _rows(
            [each for each in every if each.music_notes], lambda loss, each: _bits(loss, each.music_notes or 0)
        ),
        "margin": MARGIN_EXPLAINED if any(each.loss.margin is not None for each in every) else "",
        "notes": list(dict.fromkeys(notes)),
        "commands": list(_commands_to_measure(run, record)),
    }


def _bits(loss: Loss, characters: int) -> str:
    return figures.bits(loss.bits_per(characters), loss.margin_per(characters))


def _nats(loss: Loss, characters: int) -> str:
    return figures.bits(loss.nats_per(characters), loss.nats_margin_per(characters))


def _rows(measured: Sequence[Measurement], shown: Callable[[Loss, Measurement], str]) -> list[list[str]]:
    """Return a row for the model and for each loss that it is compared with, with a column for each measured set."""
    rows: list[list[str]] = []
    for same_losses in zip(*(each.all_losses() for each in measured), strict=True):
        for loss_name in dict.fromkeys(name for name, loss in same_losses if loss is not None):
            losses = [loss if name == loss_name else None for name, loss in same_losses]
            pairs = zip(losses, measured, strict=True)
            rows.append([loss_name, *(figures.NONE if loss is None else shown(loss, each) for loss, each in pairs)])
    return rows


def _commands_to_measure(run: str, record: RunRecord) -> Iterator[tuple[str, str]]:
    valid = record.measured.get("valid")
    if valid is not None and valid.ngram is None and not valid.notes:
        sentence = (
            "The text is large, so n-grams were not counted at the end of the training. This command counts them: "
        )
        yield sentence, f"{evaluating_command(run)} --split valid"
    if "test" not in record.measured and record.best is not None:
        yield "This command measures the model on the test set, and how much it copies: ", evaluating_command(run)


def _curves(record: RunRecord) -> Context | None:
    every, best = record.all_validations, record.best
    if not every:
        return None
    levels = list(_baselines(record))
    train, valid = (thinned(each, _MAX_POINTS, best) for each in (_training_reports(record), every))
    lines = {
        "train": [(record.epochs_done(each), each.train_perplexity) for each in train],
        "valid": [(record.epochs_done(each), each.valid_perplexity) for each in valid],
    }
    marked = None if best is None else (record.epochs_done(best), best.valid_perplexity)
    rows = thinned(every, _MAX_ROWS, best)
    what = "validations" if record.validations else "epochs"
    return {
        "chart": chart(lines, {kind: value for kind, _, value in levels}, marked),
        "description": _description(record, levels),
        "legend": list(_legend(record, levels)),
        "table_name": f"The figures of {'all' if len(rows) == len(every) else 'some'} {what}",
        "rows": [_row(each, record) for each in rows],
        "strong": next((number for number, each in enumerate(rows) if each is best), None),
    }


def _training_reports(record: RunRecord) -> Sequence[EpochReport]:
    """Return the reports with a training perplexity: those of all epochs, or of validations within the first one."""
    return record.epochs or record.validations


def _baselines(record: RunRecord) -> Iterator[tuple[str, str, float]]:
    """Yield kind, name and perplexity of the horizontal lines that the curves are compared with."""
    if record.word_frequencies is not None:
        yield "unigram", "word frequencies", record.word_frequencies
    if record.ngram is not None:
        yield "ngram", f"{record.ngram[0]}-gram", record.ngram[1]


def _legend(record: RunRecord, levels: Sequence[tuple[str, str, float]]) -> Iterator[tuple[str, str]]:
    best = record.best
    yield "train", f"training, {figures.perplexity(_training_reports(record)[-1].train_perplexity)} at the end"
    yield "valid", f"validation, {figures.perplexity(record.all_validations[-1].valid_perplexity)} at the end"
    for kind, name, value in levels:
        yield kind, f"{name}, {figures.perplexity(value)}"
    if best is not None:
        yield "best", f"the best, {figures.perplexity(best.valid_perplexity)} in {best.label}"


def _description(record: RunRecord, levels: Sequence[tuple[str, str, float]]) -> str:
    """Describe the curves in words, for readers who cannot see them."""
    ends, validations, best = _training_reports(record), record.all_validations, record.best
    shown = figures.perplexity
    sentences = [
        f"Training perplexity goes from {shown(ends[0].train_perplexity)} to {shown(ends[-1].train_perplexity)}, "
        f"validation perplexity from {shown(validations[0].valid_perplexity)} to "
        f"{shown(validations[-1].valid_perplexity)}, "
        f"in {pluralized(len(record.epochs), 'epoch') if record.epochs else 'the first epoch'}."
    ]
    if best is not None:
        sentences.append(f"The best is {shown(best.valid_perplexity)} in {best.label}.")
    sentences += [f"Horizontal line: {name}, {shown(value)}." for _, name, value in levels]
    return " ".join(sentences)


def _row(epoch: EpochReport, record: RunRecord) -> list[str]:
    return [
        f"{epoch.label.removeprefix('epoch ')}{_remark(epoch, record)}",
        figures.perplexity(epoch.train_perplexity),
        figures.perplexity(epoch.valid_perplexity),
        shown_duration(epoch.seconds),
    ]


def _remark(epoch: EpochReport, record: RunRecord) -> str:
    remarks = ["the best"] if epoch is record.best else []
    remarks += ["averaged weights"] if epoch.averaged else []
    remarks += [] if epoch.within_epoch or record.is_complete(epoch) else ["not complete"]
    return f" ({', '.join(remarks)})" if remarks else ""


def _samples(record: RunRecord) -> Iterator[Context]:
    """Yield groups of samples by their steps. The first, the best and the last samples are shown, others are folded."""
    epochs = [epoch for epoch in record.epochs if epoch.samples]
    written = sorted((*epochs, *record.samples), key=lambda each: each.step)
    if not written:
        return
    shown = (written[0], written[-1], record.best)
    kept = thinned(written, _MAX_SAMPLE_EPOCHS, record.best)
    for is_shown, group in groupby(kept, key=lambda each: any(each is one for one in shown)):
        together = list(group)
        name = _name_of_group(together)
        yield {"folded": not is_shown, "name": name, "epochs": [_sample_group(each, record) for each in together]}


def _name_of_group(together: Sequence[SampleReport]) -> str:
    """Return the name of folded samples: their epochs, or their steps if some were written within an epoch."""
    if not all(isinstance(each, EpochReport) for each in together):
        first, last, one, several = together[0].step, together[-1].step, "Step", "Steps"
        some = f" ({len(together):,} of them)"
    else:
        first, last, one, several = together[0].epoch, together[-1].epoch, "Epoch", "Epochs"
        some = "" if len(together) == last - first + 1 else f" ({len(together)} of them)"
    return f"{one} {first:,}" if first == last else f"{several} {first:,} to {last:,}{some}"


def _sample_group(report: SampleReport, record: RunRecord) -> Context:
    if not isinstance(report, EpochReport):
        heading = f"Step {report.step:,}, in epoch {report.epoch}"
    else:
        valid = figures.perplexity(report.valid_perplexity)
        heading = f"Epoch {report.epoch}{_remark(report, record)}: validation perplexity {valid}"
    return {
        "best": report is record.best,
        "heading": heading,
        "samples": [
            {
                "mode": _MODE_DESCRIPTIONS.get(each.mode, each.mode),
                "seed": each.seed,
                "text": each.text,
                **sample_of_music(each.text, record.text.tokenizer),
            }
            for each in report.samples
        ],
    }


def _measurements_test_first(record: RunRecord) -> list[Measurement]:
    """Return the measurements of the saved model, that on the test set first."""
    return [record.measured[part] for part in ("test", "valid") if part in record.measured]


def _novelty(record: RunRecord) -> Context | None:
    """Return how much of what the model writes is in its training text. None if that was not measured."""
    found = next((each.novelty for each in _measurements_test_first(record) if each.novelty is not None), None)
    if found is None:
        return None
    generated = found.samples
    both = (("texts of the model", generated), ("held-out text", found.held_out))
    return {
        "verdict": found.verdict,
        "explanation": found.compared_in_words(unknown=record.dataset.splits["train"].unknown > 0),
        "lengths": ["", *map(str, generated.shares)],
        "copied": [[name, *map(figures.share, each.shares.values())] for name, each in both],
        "varied": [
            [
                name,
                *map(figures.share, (each.distinct_1, each.distinct_2, each.repetition, each.self_bleu)),
                f"{each.longest.tokens if each.longest else 0:,}",
            ]
            for name, each in both
        ],
        "varied_caption": "Shares of different tokens and of different pairs of tokens; share of sequences of four "
        "tokens that the same text had before; length of the longest match with the training text; self-BLEU: "
        f"similarity of each text to the others{found.means_in_words}",
        "longest": generated.longest,
    }


def _text(record: RunRecord) -> Context:
    splits = record.dataset.splits
    return {
        "rows": list(_text_facts(record)),
        "unknown": "spelled out" if any(of.spelled for of in splits.values()) else "UNKNOWN",
        "splits": [
            [
                SET_NAMES[name].removesuffix(" set"),
                f"{of.passages:,}",
                f"{of.tokens:,}",
                f"{of.all_characters:,}",
                f"{of.unknown_share:.1%}",
            ]
            for name, of in splits.items()
        ],
    }


def _text_facts(record: RunRecord) -> Iterator[tuple[str, str]]:
    read, dataset = record.text, record.dataset
    breaks = " with its line breaks" if read.line_breaks == "kept" and read.passage != "line" else ""
    yield "corpus", read.corpus
    yield "source", read.source
    yield "tokenizer", read.tokenizer
    yield "passage", f"{read.passage}{breaks}"
    notes = [*read.notes, *(["full-width and half-width letters are read as usual ones"] if read.fold_width else [])]
    if notes:
        yield "notes", "; ".join(notes)
    known = dataset.known_types(record.architecture.vocabulary_size, record.head_start)
    covered = 1 - dataset.splits["train"].unknown_share
    yield "vocabulary", f"{known:,} of {dataset.types:,} different tokens, which are {covered:.1%} of the training text"


def _network(shape: Architecture) -> str:
    layers = f"{pluralized(shape.layers, 'layer')} of {shown_units(shape.units)} {_CELL_NAMES[shape.cell]} units"
    output = f"{'tied' if shape.tied else 'free'} output"
    parameters = pluralized(shape.parameters, "parameter")
    return f"{layers}, word vectors of {shape.embedding:,}, {output}, {parameters}."


def _settings(record: RunRecord) -> Context:
    """Return first the settings that differ from their defaults, and then all others, which are folded."""
    chosen = record.settings.non_default_fields()
    others = [each for each in fields(record.settings) if each not in chosen]
    return {"chosen": _setting_rows(record, chosen), "others": _setting_rows(record, others)}


def _setting_rows(record: RunRecord, which: Sequence[Field[object]]) -> list[tuple[str, str, str]]:
    return [
        (flag_name(each.name), figures.shown_value(getattr(record.settings, each.name)), each.metadata["help"])
        for each in which
    ]


def _command_section(run: str, record: RunRecord) -> Context:
    commands = commands_about(run, record, can_be_resumed=record.ended == STOPPED, has_model=True)
    has_time_budget = record.settings.time_budget is not None
    versions = record.versions
    circumstances = [("started", figures.shown_date(record.began)), ("random seed", str(record.settings.random_seed))]
    if record.devices is not None:
        circumstances.append(("trained on", f"{record.devices}, in {record.settings.precision}"))
    libraries = f"TensorFlow {versions.tensorflow}, Keras {versions.keras}, NumPy {versions.numpy}"
    circumstances.append(("versions", f"wordgen {versions.wordgen}, Python {versions.python}, {libraries}"))
    return {
        "same": "" if has_time_budget else " On the same machine the same random seed gives the same model.",
        "elsewhere": models_folder() != SAVED_MODELS,
        "commands": list(commands),
        "circumstances": circumstances,
    }
