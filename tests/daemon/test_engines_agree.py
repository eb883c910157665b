"""Both engines say the same of the same picture; a model joins by a line in `PICTURES`."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest

from tests.daemon.contract import BINARY, assert_same, results
from tests.support import DEMO_MODELS, FIXTURES, RunningDaemon

ENGINES = ("paddlelite", "paddle")
PATIENCE: Dict[str, Any] = {
    "deadline": 50,
    "run_timeout": 50,
}  # a page of text takes long on a busy machine
PHOTOS = FIXTURES / "photos"

# (mid of tests/conftest.py's `models` or `text_models`, picture)
PICTURES: Tuple[Tuple[int, Path], ...] = (
    (1, DEMO_MODELS / "digits" / "sample.jpg"),
    (2, DEMO_MODELS / "camera-check" / "sample.jpg"),
    (3, DEMO_MODELS / "print" / "sample.jpg"),
    (10, PHOTOS / "bus.jpg"),
    (10, PHOTOS / "coco_000000014439.jpg"),
    (11, PHOTOS / "tabby_cat.jpg"),
    (11, PHOTOS / "dog_bike_car.jpg"),
    (12, PHOTOS / "human_lite_demo.jpg"),
    (12, PHOTOS / "bus.jpg"),
    (5, PHOTOS / "hello_rendered.png"),
    (5, PHOTOS / "text_rot180.jpg"),
    (5, PHOTOS / "ocr_fd.jpg"),
)

missing = [engine for engine in ENGINES if importlib.util.find_spec(engine) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"{missing} is not installed")


@pytest.fixture(scope="module")
def all_models(
    models: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("all") / "models"
    shutil.copytree(models, folder)
    if FIXTURES.is_dir():
        shutil.copytree(request.getfixturevalue("text_models"), folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def daemons(all_models: Path, state: Path) -> Iterator[Dict[str, RunningDaemon]]:
    first, second = ENGINES
    with RunningDaemon(
        models=all_models, state=state, engine=first, **PATIENCE
    ) as one, RunningDaemon(models=all_models, state=state, engine=second, **PATIENCE) as other:
        yield {first: one, second: other}


@pytest.mark.parametrize(
    ("mid", "picture"), PICTURES, ids=[f"{mid}-{picture.stem}" for mid, picture in PICTURES]
)
def test_engines_agree(daemons: Dict[str, RunningDaemon], mid: int, picture: Path) -> None:
    if not picture.is_file():
        pytest.skip("../shared/fixtures is not there")
    said = {}
    for engine, daemon in daemons.items():
        assert daemon.model(mid)["engine"] == engine
        said[engine] = results(daemon.post(f"{BINARY}?mid={mid}", picture.read_bytes()))
    lite, paddle = said["paddlelite"], said["paddle"]
    assert lite
    assert_same(paddle, lite, pixels=1.0, score=0.01)
