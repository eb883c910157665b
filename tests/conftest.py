"""What all tests share: fixture models where they are there, and daemons as real processes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.daemon.contract import Known, known
from tests.support import DEMO_MODELS, FIXTURES, RunningDaemon

SQUEEZENET = """
mid: 11
name: squeezenet
task: classification
model: .
labels: label_list.txt
preprocess:
  - {op: resize_short, size: 256}
  - {op: center_crop, width: 227, height: 227}
  - {op: normalize, color: BGR, mean: [104, 117, 123]}
"""

TEXT_PARTS = {"det": "ppocr_det_en_v3", "rec": "ppocr_rec_ch_v2", "cls": "ppocr_cls_v2"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: runs with --slow"))


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The shared real models and photographs; a clone on its own does not have them."""
    if not FIXTURES.is_dir():
        pytest.skip("../shared/fixtures is not there")
    return FIXTURES


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo models (mids 1 to 3), and where they are PicoDet (10), SqueezeNet (11) and
    PP-HumanSeg (12)."""
    folder = tmp_path_factory.mktemp("models") / "models"
    folder.mkdir()
    if DEMO_MODELS.is_dir():
        shutil.copytree(DEMO_MODELS, folder, dirs_exist_ok=True)
    if FIXTURES.is_dir():
        source = FIXTURES / "models"
        shutil.copytree(source / "picodet_xs_320_coco", folder / "10-coco")
        shutil.copytree(source / "squeezenet_v1_1", folder / "squeezenet")
        shutil.copytree(source / "pphumanseg_lite_192", folder / "12-people")
        _make_writable(folder)
        (folder / "squeezenet" / "model.yaml").write_text(SQUEEZENET)
    return folder


@pytest.fixture(scope="session")
def text_models(fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PP-OCR (mid 5): it loads for seconds, so only where text is read."""
    folder = tmp_path_factory.mktemp("text") / "models"
    for part, source in TEXT_PARTS.items():
        shutil.copytree(fixtures / "models" / source, folder / "5-text" / part)
    _make_writable(folder)
    return folder


def _make_writable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state directory for the session, so that a model is converted once."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def daemon(models: Path, state: Path) -> Iterator[RunningDaemon]:
    """A daemon for tests that do it no harm; any blocking call on its loop is an error."""
    with RunningDaemon(models=models, state=state) as running:
        yield running
        assert "BlockingError" not in running.log()


@pytest.fixture(scope="session")
def detector(daemon: RunningDaemon, models: Path) -> Known:
    """The first ready detector of `daemon`, and a picture in which it sees something."""
    return _known(daemon, models, "detection", "dog_bike_car.jpg")


@pytest.fixture(scope="session")
def classifier(daemon: RunningDaemon, models: Path) -> Known:
    """The first ready classifier of `daemon`, and a picture for it."""
    return _known(daemon, models, "classification", "tabby_cat.jpg")


def _known(daemon: RunningDaemon, models: Path, task: str, photo: str) -> Known:
    found = known(daemon, models, task, FIXTURES / "photos" / photo)
    if found is None:
        pytest.skip(f"there is no demo model for {task}, and no ../shared/fixtures")
    return found


@pytest.fixture
def start_daemon(models: Path, state: Path) -> Iterator[Callable[..., RunningDaemon]]:
    """Starts daemons of a test's own, with settings as keywords; they end with the test."""
    running: List[RunningDaemon] = []

    def start(**settings: object) -> RunningDaemon:
        folders: Dict[str, Any] = {"models": models, "state": state}
        daemon = RunningDaemon(**{**folders, **settings})
        running.append(daemon)
        return daemon

    yield start
    for daemon in running:
        daemon.close()
