"""A key, tokens, and the daemon that reads text: it loads for seconds, so one for all."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Iterator

import pytest

from edged.keys import KeyStore, NewKey, Rules
from tests.daemon.dialects.cloud import Model, model_in, token_of
from tests.support import DEMO_MODELS, RunningDaemon

# A page is dozens of runs, which a busy machine does not do within the defaults.
_PATIENCE = 50
_MANIFEST = "mid: {mid}\nname: {name}\ntask: ocr\nlanguages: [{languages}]\n"


@pytest.fixture(scope="session")
def key(state: Path) -> NewKey:
    """A key that may do everything, in the session's state directory."""
    with closing(KeyStore(state, create=True)) as store:
        return store.create("dialects", Rules())


@pytest.fixture(scope="session")
def token(daemon: RunningDaemon, key: NewKey) -> str:
    return token_of(daemon, key)


@pytest.fixture(scope="session")
def digits(models: Path) -> Model:
    if not DEMO_MODELS.is_dir():
        pytest.skip("there are no demo models")
    return model_in(models, "digits", "digits", 1, "detection")


@pytest.fixture(scope="session")
def cameras(models: Path) -> Model:
    """A classifier of seven classes."""
    if not DEMO_MODELS.is_dir():
        pytest.skip("there are no demo models")
    return model_in(models, "camera-check", "camera-check", 2, "classification")


@pytest.fixture(scope="session")
def coco(fixtures: Path) -> Model:
    return Model("coco", 10, "detection", (fixtures / "photos" / "bus.jpg").read_bytes())


@pytest.fixture(scope="session")
def things(fixtures: Path) -> Model:
    """A classifier of a thousand classes."""
    photo = fixtures / "photos" / "tabby_cat.jpg"
    return Model("squeezenet", 11, "classification", photo.read_bytes())


@pytest.fixture(scope="session")
def people(fixtures: Path) -> Model:
    photo = fixtures / "photos" / "human_lite_demo.jpg"
    return Model("people", 12, "segmentation", photo.read_bytes())


@pytest.fixture(scope="session")
def reader(
    text_models: Path, state: Path, key: NewKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDaemon]:
    """PP-OCR, as `text` (mid 5) without a manifest and as `german` (mid 6) with one; `broken`
    (mid 4) has letters of another network. It knows the key from its start."""
    models = tmp_path_factory.mktemp("readers") / "models"
    shutil.copytree(text_models, models)
    for mid, name, languages in [(4, "broken", "ENG, FRE"), (6, "german", "ENG, GER")]:
        shutil.copytree(models / "5-text", models / f"{mid}-{name}")
        manifest = _MANIFEST.format(mid=mid, name=name, languages=languages)
        (models / f"{mid}-{name}" / "model.yaml").write_text(manifest)
    (letters,) = (models / "4-broken" / "rec").glob("*.txt")
    letters.write_text("a\nb\nc\n")
    with RunningDaemon(
        models=models, state=state, deadline=_PATIENCE, run_timeout=_PATIENCE
    ) as running:
        yield running
        assert "BlockingError" not in running.log()


@pytest.fixture(scope="session")
def page(fixtures: Path) -> bytes:
    """A photograph of which the reference implementation's reading is known."""
    return (fixtures / "photos" / "ocr_fd.jpg").read_bytes()


@pytest.fixture(scope="session")
def hello(fixtures: Path) -> bytes:
    """A small picture of the one line "HELLO 12345 world"."""
    return (fixtures / "photos" / "hello_rendered.png").read_bytes()
