import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import command_environment
from tests.test_bundle import make_bundle
from wordgen.bundle import save_bundle
from wordgen.errors import SettingError
from wordgen.run_folder import made_new, resumed
from wordgen.run_lock import LOCK, in_training, is_in_training
from wordgen.run_names import SAVED_MODELS

pytestmark = pytest.mark.usefixtures("in_empty_folder")
RUN = SAVED_MODELS / "tale"


@pytest.fixture(autouse=True)
def model(in_empty_folder: Path) -> None:
    save_bundle(make_bundle(), RUN)


def test_a_run_is_in_training_for_as_long_as_its_process_has_it():
    assert not is_in_training(RUN)
    with resumed(RUN):
        assert is_in_training(RUN)
    assert not is_in_training(RUN)
    with made_new(SAVED_MODELS / "new", overwrite=False) as folder:
        assert is_in_training(folder.path)
        save_bundle(make_bundle(), folder.path)
    assert not (folder.path / LOCK).exists()


def test_what_is_trained_by_another_is_left_alone():
    with in_training(RUN):
        before = sorted(path.name for path in RUN.iterdir())
        for other in (resumed(RUN), made_new(RUN, overwrite=True)):
            with pytest.raises(SettingError, match="'tale' is being trained right now"), other:
                pass
        assert sorted(path.name for path in RUN.iterdir()) == before
        assert is_in_training(RUN)


def test_a_killed_training_keeps_no_lock():
    program = f"""
import time
from pathlib import Path
from wordgen.run_lock import in_training
with in_training(Path({str(RUN)!r})):
    print("has it", flush=True)
    time.sleep(100)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], env=command_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "has it\n"
        assert is_in_training(RUN)
        process.send_signal(signal.SIGKILL)
    assert (RUN / LOCK).exists()
    assert not is_in_training(RUN)
    with resumed(RUN):
        assert is_in_training(RUN)
    assert not (RUN / LOCK).exists()
