"""Which of several workers this process is, as TF_CONFIG or SLURM tell; known before TensorFlow is there."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wordgen.errors import SettingError
from wordgen.training.settings import DeviceSettings

PORTS = "WORDGEN_PORTS"
"""The environment variable by which `launch` says that nobody else reaches the ports, or that the user accepts it."""
LAUNCHER = "WORDGEN_LAUNCHER"
"""The one with the number of a pipe that ends when the launcher does."""


def warning_about_ports(place: "Place", environment: Mapping[str, str] = os.environ) -> str | None:
    """What follows from learning with others, where it has not been taken care of."""
    if place.workers == 1 or environment.get(PORTS):
        return None
    return (
        "TensorFlow's workers listen on all networks of their machines: whoever reaches a worker's port can read and "
        "write your files. Let nobody but the other workers reach it (docs/scaling-out.md says how)."
    )


@dataclass(frozen=True)
class Place:
    """This process among the workers; the first is the chief."""

    worker: int = 0
    workers: int = 1
    source: Literal["alone", "TF_CONFIG", "SLURM"] = "alone"

    @property
    def chief(self) -> bool:
        return self.worker == 0


def place_of(settings: DeviceSettings, environment: Mapping[str, str] = os.environ) -> Place:
    if settings.distribute != "multiworker":
        named = settings.distribute == "auto" and '"cluster"' in environment.get("TF_CONFIG", "")
        told = _from_tf_config(environment["TF_CONFIG"]) if named else Place()
        if told.workers > 1:
            raise SettingError(
                f"TF_CONFIG names {told.workers} workers: add --distribute multiworker to learn with them all, "
                "or --distribute none to learn here alone."
            )
        return Place()
    if environment.get("TF_CONFIG"):
        return _from_tf_config(environment["TF_CONFIG"])
    if "SLURM_PROCID" in environment and "SLURM_STEP_NUM_TASKS" in environment:
        return Place(int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"]), "SLURM")
    raise SettingError(
        "--distribute multiworker needs to know the other workers, from TF_CONFIG or from srun: "
        "try  wordgen launch --workers 2 -- --corpus ...  or see docs/scaling-out.md."
    )


def _from_tf_config(text: str) -> Place:
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        chiefs, workers = len(cluster.get("chief", [])), len(cluster.get("worker", []))
        numbers = {"chief": 0, "worker": chiefs}
        place = Place(numbers[task["type"]] + int(task["index"]), chiefs + workers, "TF_CONFIG")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingError(
            'TF_CONFIG must be JSON as {"cluster": {"worker": ["host:port", ...]}, '
            '"task": {"type": "worker", "index": 0}}, with other numbers on other workers.'
        ) from error
    if not 0 <= place.worker < place.workers:
        raise SettingError(f"TF_CONFIG says that this is worker {place.worker} of {place.workers}: they count from 0.")
    return place
