"""Text out of pictures: the reference's answers, on both engines, and odd pictures."""

from __future__ import annotations

import difflib
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import cv2
import numpy as np
import pytest

from edged.errors import DeadlinePassed, EngineError, ModelFolderError
from edged.registry.entry import look
from edged.registry.spec import ModelSpec
from edged.results import BBox, Result
from edged.wire import EngineOptions, Load, PredictOptions
from edged.worker.clock import Clock
from edged.worker.decode import Picture, whole
from edged.worker.model import Model, Prepared
from edged.worker.ocr.networks import fit
from tests.pictures import decoded

ENGINES = ("paddlelite", "paddle")
WORDS = ("Surrey", "invoice", "gross weight", "Total", "delivery", "HELLO", "board 7", "camera")


class Golden(NamedTuple):
    text: str
    score: float
    box_score: float
    quad: List[List[int]]


@pytest.fixture
def text_folder(text_models: Path) -> Path:
    return text_models / "5-text"


def spec_of(folder: Path) -> ModelSpec:
    entry = look(folder)
    assert entry.spec is not None, entry.reason
    return entry.spec


def opened(spec: ModelSpec, cache: Path, engine: str) -> Model:
    options = EngineOptions(engine, str(cache), threads=1, power_mode="high")
    return Model(Load(spec, options, memory_limit=0))


@pytest.fixture(scope="session", params=ENGINES)
def model(
    request: pytest.FixtureRequest, text_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Model:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return opened(spec_of(text_models / "5-text"), tmp_path_factory.mktemp("cache"), request.param)


@pytest.fixture
def lite(text_folder: Path, tmp_path: Path) -> Callable[[ModelSpec], Model]:
    pytest.importorskip("paddlelite", reason="Paddle Lite is not installed")
    return lambda spec: opened(spec, tmp_path / "cache", "paddlelite")


def read(model: Model, picture: Picture) -> List[Result]:
    return model.predict(Prepared(whole(picture), None, 0.0), PredictOptions(), Clock()).results


def photo(fixtures: Path, name: str) -> Picture:
    return decoded((fixtures / "photos" / name).read_bytes())


def plain(text: str) -> str:
    return text.lower().replace(" ", "")


def test_the_reference_reads_the_same(model: Model, fixtures: Path) -> None:
    answers: Dict[str, Any] = json.loads((fixtures / "golden.json").read_text())
    golden = [Golden(*line) for line in answers["ocr/ocr_fd.jpg"]]
    results = read(model, photo(fixtures, "ocr_fd.jpg"))
    texts = [plain(result.label) for result in results]
    sure = [plain(line.text) for line in golden if line.score > 0.93]
    likely = [plain(line.text) for line in golden if line.score > 0.8]
    assert sum(text in texts for text in sure) >= len(sure) - 1
    assert sum(text in texts for text in likely) > len(likely) / 2
    assert len(results) == len(golden)
    for result, line in zip(results, golden):  # in the same order
        np.testing.assert_allclose(result.extended["quad"], line.quad, atol=5)
        assert result.score == pytest.approx(line.score, abs=0.08)


def test_a_single_line(model: Model, fixtures: Path) -> None:
    (result,) = read(model, photo(fixtures, "hello_rendered.png"))
    assert plain(result.label) == "hello12345world"
    assert result.score > 0.9
    (chinese,) = read(model, photo(fixtures, "textline_0.png"))
    assert chinese.label == "思路与方向"


def test_a_result_has_its_quad_and_the_box_around_it(model: Model, fixtures: Path) -> None:
    for result in read(model, photo(fixtures, "ocr_fd.jpg")):
        quad = np.array(result.extended["quad"])
        assert quad.shape == (4, 2)
        (left, top), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
        assert result.location == BBox(left, top, right - left, bottom - top)
        assert 0.6 <= result.extended["box_score"] <= 1
        assert result.extended["angle"] == 0
        assert result.index == 0
        assert result.label == result.label.strip() != ""


def test_a_picture_upside_down_is_read_and_in_its_order(model: Model, fixtures: Path) -> None:
    picture = photo(fixtures, "text_rot180.jpg")
    results = read(model, picture)
    assert [plain(result.label) for result in results] == ["beris", "lakeresort", "restoran"]
    assert {result.extended["angle"] for result in results} == {180}
    upright = read(model, cv2.rotate(picture, cv2.ROTATE_180).astype(np.uint8))
    assert {result.extended["angle"] for result in upright} == {0}
    assert plain(upright[0].label) == "beris"


def test_a_line_that_runs_upwards(model: Model, fixtures: Path) -> None:
    """Turned clockwise, it is tall, and read from the top downwards."""
    page = np.full((400, 400, 3), 255, np.uint8)
    page[150:198, 40:360] = photo(fixtures, "hello_rendered.png")
    (result,) = read(model, cv2.rotate(page, cv2.ROTATE_90_CLOCKWISE).astype(np.uint8))
    assert plain(result.label) == "hello12345world"
    assert result.extended["angle"] == 90


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (500, 500), (3000, 20), (20, 3000)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_without_text(model: Model, size: Tuple[int, int], value: int) -> None:
    assert read(model, np.full((size[1], size[0], 3), value, np.uint8)) == []


def test_a_photo_without_text(model: Model, fixtures: Path) -> None:
    assert read(model, photo(fixtures, "tabby_cat.jpg")) == []


def test_sixty_lines_in_two_columns(model: Model) -> None:
    page = np.full((1400, 1000, 3), 235, np.uint8)
    written = []
    for number in range(60):
        text = f"{number:02d} {WORDS[number % 8]} {WORDS[(number // 8 + 3) % 8]}"
        place = (40 + 500 * (number % 2), 50 + 45 * (number // 2))
        cv2.putText(page, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (20, 20, 20), 2, cv2.LINE_AA)
        written.append(plain(text))
    results = read(model, page)
    assert len(results) == 60
    columns = [int(result.location.left > 500) for result in results]
    assert columns == [0, 1] * 30
    likeness = [
        difflib.SequenceMatcher(None, plain(result.label), text).ratio()
        for result, text in zip(results, written)
    ]
    assert min(likeness) > 0.7
    assert sum(ratio == 1 for ratio in likeness) >= 54


def test_a_page_is_read_in_parts_and_given_up_between_them(model: Model) -> None:
    page = np.full((1400, 1000, 3), 235, np.uint8)
    for row in range(30):
        place = (40, 50 + 45 * row)
        cv2.putText(page, "invoice", place, cv2.FONT_HERSHEY_SIMPLEX, 0.9, (20, 20, 20), 2)
    parts: List[int] = []
    prepared = Prepared(whole(page), None, 0.0)
    read_whole = model.predict(prepared, PredictOptions(), Clock(lambda: parts.append(1)))
    assert len(read_whole.results) == 30
    assert len(parts) == 3

    def too_late() -> None:
        raise DeadlinePassed

    with pytest.raises(DeadlinePassed):
        model.predict(prepared, PredictOptions(), Clock(too_late))
    assert len(read(model, page)) == 30


def test_stages_are_told_apart(model: Model, fixtures: Path) -> None:
    picture = photo(fixtures, "hello_rendered.png")
    outcome = model.predict(Prepared(whole(picture), picture, 7.0), PredictOptions(), Clock())
    assert outcome.stages.decode == 7.0
    assert outcome.stages.run > outcome.stages.preprocess > 0
    assert outcome.stages.postprocess > 0
    assert outcome.drawn[:2] == b"\xff\xd8"


def test_without_an_angle_network_lines_are_taken_as_they_stand(
    text_folder: Path, tmp_path: Path, lite: Callable[[ModelSpec], Model], fixtures: Path
) -> None:
    folder = tmp_path / "no-cls"
    for part in ("det", "rec"):
        shutil.copytree(text_folder / part, folder / part)
    results = read(lite(spec_of(folder)), photo(fixtures, "text_rot180.jpg"))
    assert "restoran" not in [plain(result.label) for result in results]


def test_a_dictionary_of_another_length_is_refused(
    text_folder: Path, tmp_path: Path, lite: Callable[[ModelSpec], Model]
) -> None:
    folder = tmp_path / "short"
    shutil.copytree(text_folder, folder)
    dictionary = folder / "rec" / "ppocr_keys_v1.txt"
    lines = dictionary.read_text("utf-8").split("\n")
    dictionary.write_text("\n".join(lines[1:]), "utf-8")
    with pytest.raises(ModelFolderError, match=r"6622 letters.* 6624 .*answers 6625$"):
        lite(spec_of(folder))


def test_networks_in_each_others_folders_are_refused(
    text_folder: Path, tmp_path: Path, lite: Callable[[ModelSpec], Model]
) -> None:
    folder = tmp_path / "swapped"
    shutil.copytree(text_folder, folder)
    (folder / "model.yaml").write_text("task: ocr\ndet: cls\n")
    with pytest.raises(EngineError, match="the detection network answers"):
        lite(spec_of(folder))


def test_lines_below_the_threshold_are_left_out(
    text_folder: Path, tmp_path: Path, lite: Callable[[ModelSpec], Model], fixtures: Path
) -> None:
    folder = tmp_path / "sure"
    shutil.copytree(text_folder, folder)
    (folder / "model.yaml").write_text("threshold: 0.93\n")
    results = read(lite(spec_of(folder)), photo(fixtures, "ocr_fd.jpg"))
    assert 3 <= len(results) <= 5
    assert min(result.score for result in results) >= 0.93


CANVASES = [(960, 544), (544, 960), (960, 960), (640, 640)]


@pytest.mark.parametrize(
    ("picture", "size", "canvas"),
    [
        ((1920, 1080), (960, 544), (960, 544)),
        ((1080, 1920), (544, 960), (544, 960)),
        ((2356, 1322), (960, 544), (960, 544)),  # as PaddleOCR has it
        ((1600, 1200), (960, 704), (960, 960)),
        ((640, 480), (640, 480), (640, 640)),
        ((500, 471), (512, 480), (640, 640)),
        ((16384, 1), (960, 32), (960, 544)),
        ((1, 1), (32, 32), (640, 640)),
    ],
)
def test_a_picture_gets_the_smallest_canvas_that_holds_it(
    picture: Tuple[int, int], size: Tuple[int, int], canvas: Tuple[int, int]
) -> None:
    assert fit(*picture, CANVASES) == (size, canvas)


def test_a_picture_is_shrunk_into_the_only_canvas() -> None:
    assert fit(1920, 1080, [(320, 200)]) == ((320, 192), (320, 200))
    assert fit(200, 1000, [(320, 216)]) == ((32, 216), (320, 216))
