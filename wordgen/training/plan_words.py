"""The plan of a run in words, for all who show it."""

from collections.abc import Iterator

from wordgen.architecture import shown_layers
from wordgen.training.reports import Plan
from wordgen.training.settings import TrainingSettings


def plan_in_words(plan: Plan) -> Iterator[tuple[str, str]]:
    """What each line is about, and what it says."""
    train, valid, test = (plan.statistics[split] for split in ("train", "valid", "test"))
    a, s = plan.architecture, plan.settings
    breaks = " with its line breaks" if plan.line_breaks == "kept" and plan.unit != "line" else ""
    cut = f"{plan.tokenizer} by the {plan.unit}{breaks}"
    yield "corpus", f"{plan.corpus}, {cut}: {plan.source}"
    for note in plan.notes:
        yield "", note
    if plan.beginning is not None:
        yield "begins from", plan.beginning
    if plan.head_start is not None:
        yield "begins from" if plan.beginning is None else "", plan.head_start.describe()
    if plan.recipe is not None:
        yield "recipe", plan.recipe
        yield "", "--recipe none takes the plain defaults; flags given beside --recipe change it"
    yield "symbols", f"{train.symbols:,} to train on, {valid.symbols:,} to validate, {test.symbols:,} to test"
    words = f"{a.vocabulary_size - plan.special_symbols:,} of {plan.types:,} different symbols"
    yield "vocabulary", f"{words}, covering {1 - train.unknown_share:.1%} of the training text"
    shares = f"train {train.unknown_share:.1%}, valid {valid.unknown_share:.1%}, test {test.unknown_share:.1%}"
    yield "spelled out" if train.spelled else "UNKNOWN share", shares
    output = "output tied to the word vectors" if a.tied else "output with weights of its own"
    yield "network", f"{shown_layers(a)}, {output}, {a.parameters:,} parameters"
    yield "memory", f"about {plan.memory.all / 2**30:.1f} GiB"
    length = f"at most {s.epochs} epochs" if s.time_budget is None else f"for {s.time_budget}"
    rate = f"{s.optimizer} at {s.first_learning_rate:g}" + ("" if s.schedule == "constant" else f", {s.schedule}")
    rate += "" if s.layer_decay == 1 else f", {s.layer_decay:g} times that in each layer below"
    steps = f"{plan.steps_per_epoch:,} steps of {s.batch_size} x {s.seq_len} symbols an epoch, {length}, {rate}"
    yield "training", ", ".join([steps, *_against_learning_by_heart(s)])
    if s.sampled_output is not None and s.sampled_output < a.vocabulary_size:
        yield "", f"each step compares with {s.sampled_output:,} symbols: train perplexity is an estimate"


def _against_learning_by_heart(settings: TrainingSettings) -> Iterator[str]:
    """What of it is in use."""
    locked = "locked " if settings.locked_dropout else ""
    rates = {settings.place_rate(place, 2) for place in range(3)}
    yield f"{locked}dropout {' to '.join(f'{rate:g}' for rate in (min(rates), max(rates))[: len(rates)])}"
    for name in ("word_dropout", "weight_drop", "label_smoothing", "weight_decay", "pull", "average_after"):
        value = getattr(settings, name)
        if value or (name == "average_after" and value is not None):
            yield f"{name.replace('_', ' ')} {value:g}"
