"""Which sizes the networks of an OCR model are loaded for, with engines that do nothing."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

import numpy as np
import pytest

from edged.errors import BadOutput, EngineError, ModelFolderError
from edged.registry.spec import BoxRules, ModelFiles, Reading
from edged.wire import TensorInfo
from edged.worker.clock import Clock
from edged.worker.engines import Array, Network
from edged.worker.ocr.networks import Angle, Detector, Recognition
from tests.worker.engines.conftest import Tensor, combined, write_program

NB = ModelFiles("nb", "/nowhere.nb")
Answer = Callable[[Tuple[int, int], int], Array]


class FakeEngine:
    """Answers by its size and the number of the run."""

    def __init__(self, network: Network, answer: Answer) -> None:
        self.size = network.input_size
        self._answer, self._runs = answer, 0

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        width, height = self.size
        return [TensorInfo("x", (1, 3, height, width), "float32")]

    def run(self, feeds: Dict[str, Array]) -> List[Array]:
        assert feeds["x"].shape == self.inputs[0].shape
        self._runs += 1
        return [self._answer(self.size, self._runs)]


class Loader:
    """`sizes` are those loaded; `alive` says how many engines have not been let go of."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._engines: weakref.WeakSet[FakeEngine] = weakref.WeakSet()
        self.sizes: List[Tuple[int, int]] = []
        self.most_alive = 0

    def __call__(self, network: Network) -> FakeEngine:
        engine = FakeEngine(network, self._answer)
        self._engines.add(engine)
        self.sizes.append(network.input_size)
        gc.collect()
        self.most_alive = max(self.most_alive, len(self._engines))
        return engine


def no_text(size: Tuple[int, int], run: int) -> Array:
    return np.zeros((1, 1, size[1], size[0]), np.float32)


def steps(size: Tuple[int, int], run: int) -> Array:
    """`a` in every step: what is said of the padding must not be heard."""
    made = np.zeros((1, size[0] // 4, 4), np.float32)
    made[:, ::2, 1] = made[:, 1::2, 0] = 0.9
    return made


def page(width: int, height: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.zeros((height, width, 3), np.uint8)


def test_one_detector_is_loaded_at_a_time() -> None:
    load = Loader(no_text)
    detector = Detector(NB, BoxRules(), load)
    for width, height in [(1920, 1080), (1280, 720), (1080, 1920), (640, 480), (1920, 1080)]:
        assert detector.find(page(width, height), Clock()) == []
    assert load.sizes == [(960, 544), (544, 960), (640, 480), (960, 544)]
    assert load.most_alive == 1


@pytest.mark.parametrize(
    ("width", "height", "canvas"),
    [
        (1920, 1080, (960, 544)),
        (1600, 1200, (960, 704)),
        (1200, 1600, (704, 960)),
        (3000, 3000, (960, 960)),
        (640, 360, (640, 352)),
        (640, 640, (640, 640)),
        (100, 30, (640, 352)),
    ],
)
def test_usual_frames_have_a_canvas_without_padding_or_one_that_holds_them(
    width: int, height: int, canvas: Tuple[int, int]
) -> None:
    load = Loader(no_text)
    Detector(NB, BoxRules(), load).find(page(width, height), Clock())
    assert load.sizes[-1] == canvas


def test_boxes_are_in_pixels_of_the_picture() -> None:
    def line(size: Tuple[int, int], run: int) -> Array:
        made = no_text(size, run)
        made[0, 0, 100:121, 200:401] = 0.9
        return made

    (box,) = Detector(NB, BoxRules(unclip=0), Loader(line)).find(page(1920, 1088), Clock())
    np.testing.assert_allclose(box.quad, [[400, 200], [800, 200], [800, 240], [400, 240]], atol=2)


def test_what_is_found_in_the_padding_is_nothing() -> None:
    def below(size: Tuple[int, int], run: int) -> Array:
        made = no_text(size, run)
        made[0, 0, 400:430, 200:400] = 0.9
        return made

    assert Detector(NB, BoxRules(), Loader(below)).find(page(960, 384), Clock()) == []


def test_a_line_at_the_lower_edge_does_not_reach_into_the_padding() -> None:
    """Else it would be grown by the height that it has there too: 32 pixels, not 6."""

    def over_the_edge(size: Tuple[int, int], run: int) -> Array:
        made = no_text(size, run)
        made[0, 0, 376:430, 200:400] = 0.9
        return made

    (box,) = Detector(NB, BoxRules(), Loader(over_the_edge)).find(page(960, 384), Clock())
    assert 190 <= box.quad[:, 0].min() <= 198


def test_a_detector_made_for_one_size_gets_no_other(tmp_path: Path) -> None:
    program = write_program(tmp_path / "model", [], inputs=[Tensor("x", (1, 3, 320, 480))])
    load = Loader(no_text)
    detector = Detector(combined(program), BoxRules(), load)
    detector.find(page(1000, 2000), Clock())
    assert load.sizes == [(480, 320)]


def reading(files: ModelFiles = NB, height: int | None = 32) -> Reading:
    return Reading(recognition=files, letters=("a", "b"), line_height=height)


def test_a_line_gets_the_smallest_width_that_holds_it_and_each_is_loaded_once() -> None:
    load = Loader(steps)
    recognition = Recognition(reading(), load)
    for width in (100, 320, 321, 700, 9000, 100, 640):
        recognition.read(page(width, 32), Clock())
    assert load.sizes == [(320, 32), (640, 32), (1280, 32)]


@pytest.mark.parametrize(("width", "letters"), [(4, 1), (80, 11), (320, 40)])
def test_the_padding_is_not_read(width: int, letters: int) -> None:
    """A step is 4 pixels, and every second one says `a`; one step after the end counts."""
    text = Recognition(reading(), Loader(steps)).read(page(width, 32), Clock())
    assert text.text == "a" * letters


@pytest.mark.parametrize(
    ("declared", "given", "size"),
    [
        ((-1, 3, 32, -1), None, (320, 32)),
        ((-1, 3, -1, -1), None, (320, 48)),
        ((-1, 3, -1, -1), 64, (320, 64)),
        ((1, 3, 48, 480), None, (480, 48)),
    ],
)
def test_the_height_of_lines(
    tmp_path: Path, declared: Tuple[int, ...], given: int | None, size: Tuple[int, int]
) -> None:
    program = write_program(tmp_path / "model", [], inputs=[Tensor("x", declared)])
    load = Loader(steps)
    Recognition(reading(combined(program), given), load)
    assert load.sizes == [size]


def test_without_a_program_lines_are_48_high() -> None:
    load = Loader(steps)
    Recognition(reading(height=None), load)
    assert load.sizes == [(320, 48)]


def test_both_lengths_are_named_where_the_dictionary_does_not_fit() -> None:
    with pytest.raises(ModelFolderError, match=r"3 letters.* 5 with .* answers 4$"):
        Recognition(Reading(NB, ("a", "b", "c")), Loader(steps))


def test_outputs_of_other_networks_are_refused() -> None:
    with pytest.raises(EngineError, match=r"recognition answers \[1, T, C\]"):
        Recognition(reading(), Loader(no_text))
    with pytest.raises(EngineError, match="the detection network answers"):
        Detector(NB, BoxRules(), Loader(steps))
    with pytest.raises(EngineError, match="the angle network answers"):
        Angle(NB, Loader(no_text))


def test_an_engine_that_answers_nan_is_another_engines_chance() -> None:
    def nan(size: Tuple[int, int], run: int) -> Array:
        raise BadOutput("NaN")

    for open_one in (lambda: Detector(NB, BoxRules(), Loader(nan)), lambda: Angle(NB, Loader(nan))):
        with pytest.raises(EngineError, match="NaN"):
            open_one()


@pytest.mark.parametrize(("probability", "turned"), [(0.9, False), (0.91, True), (0.2, False)])
def test_only_a_sure_angle_turns_a_line(probability: float, turned: bool) -> None:
    def angle(size: Tuple[int, int], run: int) -> Array:
        assert size == (192, 48)
        return np.array([[1 - probability, probability]], np.float32)

    assert Angle(NB, Loader(angle)).is_turned(page(100, 30), Clock()) is turned
