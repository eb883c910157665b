"""OCR through the daemon: PP-OCR held to what a reference implementation read, on both engines."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import cv2
import numpy as np
import pytest

from tests.daemon.contract import (
    BASE64,
    BINARY,
    GoldenLine,
    Json,
    assert_texts,
    golden_lines,
    json_body,
    picture,
    plain,
    results,
)
from tests.support import ROOT, Answer, RunningDaemon, alive, wait_for

MID = 5
# A page is dozens of runs, which a busy machine does not do within the defaults.
PATIENCE: Dict[str, Any] = {"deadline": 50, "run_timeout": 50}

Post = Callable[[RunningDaemon, bytes], Answer]


@pytest.fixture(scope="module", params=["paddlelite", "paddle"])
def reader(
    request: pytest.FixtureRequest, text_models: Path, state: Path
) -> Iterator[RunningDaemon]:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    with RunningDaemon(models=text_models, state=state, engine=request.param, **PATIENCE) as daemon:
        assert daemon.model(MID)["engine"] == request.param
        yield daemon


@pytest.fixture(scope="module")
def photos(fixtures: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (fixtures / "photos").iterdir()}


@pytest.fixture(scope="module")
def golden(fixtures: Path) -> List[GoldenLine]:
    return golden_lines(fixtures)


def by_base64(daemon: RunningDaemon, image: bytes) -> Answer:
    return daemon.post(f"{BASE64}?mid={MID}", json_body(image))


def by_binary(daemon: RunningDaemon, image: bytes) -> Answer:
    return daemon.post(f"{BINARY}?mid={MID}", image)


def assert_read(found: List[Json], golden: List[GoldenLine]) -> None:
    assert_texts([line["label"] for line in found], golden)
    for line, expected in zip(found, golden):  # in reading order
        np.testing.assert_allclose(line["extended"]["quad"], expected.quad, atol=5)


def page(lines: int, width: int = 1200, height: int = 1600) -> bytes:
    image = np.full((height, width, 3), 255, np.uint8)
    for number in range(lines):
        place = 40 + number % 2 * 600, 40 + number // 2 * (2 * (height - 60) // lines)
        text = f"LINE NUMBER {number + 10}"
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 1.1, (0, 0, 0), 2, cv2.LINE_AA)
    return cv2.imencode(".png", image)[1].tobytes()


def blank(width: int, height: int) -> bytes:
    return cv2.imencode(".jpg", np.full((height, width, 3), 200, np.uint8))[1].tobytes()


@pytest.mark.parametrize("post", [by_base64, by_binary])
def test_it_reads_as_the_reference_does(
    reader: RunningDaemon, photos: Dict[str, bytes], golden: List[GoldenLine], post: Post
) -> None:
    assert_read(results(post(reader, photos["ocr_fd.jpg"])), golden)


def test_show_draws_what_was_read(reader: RunningDaemon, photos: Dict[str, bytes]) -> None:
    image = photos["ocr_fd.jpg"]
    answer = reader.post(f"{BINARY}?mid={MID}&show=1", image)
    assert results(answer) == results(by_binary(reader, image))
    drawn = cv2.imdecode(np.frombuffer(picture(answer), np.uint8), cv2.IMREAD_COLOR)
    original = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert drawn is not None
    assert original is not None
    assert drawn.shape == original.shape
    assert (cv2.absdiff(drawn, original) > 60).any(axis=2).sum() > 1000


def test_without_text_there_is_an_empty_result(reader: RunningDaemon) -> None:
    for size in [(1280, 720), (8, 8), (3000, 40)]:
        assert results(by_binary(reader, blank(*size))) == []


def test_a_page_of_sixty_lines(reader: RunningDaemon) -> None:
    found = results(by_binary(reader, page(60)))
    read = [plain(line["label"]) for line in found]
    expected = {f"linenumber{number + 10}" for number in range(60)}
    assert len(found) == 60
    assert len(expected.intersection(read)) >= 50


@pytest.mark.slow
def test_frames_of_all_sizes_are_served_by_one_worker(
    reader: RunningDaemon, photos: Dict[str, bytes]
) -> None:
    """Its memory stays within what a model may have, so that it is not replaced."""
    before = reader.model(MID)["workers"]
    for size in [(1920, 1080), (1080, 1920), (1600, 1200), (1500, 1500), (640, 480), (600, 600)]:
        assert results(by_binary(reader, blank(*size))) == []
    for _ in range(2):
        assert results(by_binary(reader, photos["ocr_fd.jpg"]))
        assert results(by_binary(reader, photos["hello_rendered.png"]))
    after = reader.model(MID)
    assert set(before) <= set(after["workers"])  # another may have been loading still
    assert after["counters"]["restarts"] == 0


def test_the_models_page_says_that_any_size_will_do(reader: RunningDaemon) -> None:
    model = reader.model(MID)
    assert (model["task"], model["input_size"], model["state"]) == ("ocr", None, "ready")


def test_converted_elsewhere_it_reads_the_same(
    start_daemon: Callable[..., RunningDaemon],
    text_models: Path,
    state: Path,
    photos: Dict[str, bytes],
    golden: List[GoldenLine],
    tmp_path: Path,
) -> None:
    """What `models convert` wrote is dropped into a folder of models as it is."""
    pytest.importorskip("paddlelite", reason="Paddle Lite, which converts, is not here")
    out = tmp_path / "models" / "text"
    command = [sys.executable, "-m", "edged", "models", "convert", str(text_models / "5-text")]
    command += ["--target=x86", f"--out={out}", f"--state={state}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    daemon = start_daemon(models=out.parent, **PATIENCE)
    assert (daemon.model(MID)["name"], daemon.model(MID)["engine"]) == ("text", "paddlelite")
    assert_read(results(by_binary(daemon, photos["ocr_fd.jpg"])), golden)


# Last: it leaves the daemon with another worker.
def test_after_a_kill_it_reads_on(
    reader: RunningDaemon, photos: Dict[str, bytes], golden: List[GoldenLine]
) -> None:
    killed = reader.model(MID)["workers"]
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert_read(results(by_binary(reader, photos["ocr_fd.jpg"])), golden)
    assert not any(map(alive, killed))
    workers = wait_for(lambda: reader.model(MID)["workers"])
    assert not set(workers) & set(killed)
    assert reader.model(MID)["counters"]["restarts"] == len(killed)
