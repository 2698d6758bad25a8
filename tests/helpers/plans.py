"""The plan of a made-up run."""

from pathlib import Path

from wordgen.dataset.dataset import SplitStatistics
from wordgen.model.architecture import Architecture, NetworkSettings
from wordgen.training.plan import DatasetRecord, Plan, TextRecord
from wordgen.training.settings import TrainingSettings

STATISTICS = SplitStatistics(passages=10, tokens=1000, unknown=50, characters=5000)


def plan() -> Plan:
    return Plan(
        run="tale",
        folder=Path("saved_models/tale"),
        recipe="short: for [short] texts",
        text=TextRecord("[red]tale", "data/tale.txt", "english", "line", "joined", False, ("read as Shift JIS",)),
        dataset=DatasetRecord("f", 500, 3, {"train": STATISTICS, "valid": STATISTICS, "test": STATISTICS}),
        architecture=Architecture.of(NetworkSettings(), 303),
        settings=TrainingSettings(epochs=2),
        steps_per_epoch=4,
    )
