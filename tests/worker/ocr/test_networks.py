"""Which sizes the networks of an OCR model are loaded for, with engines that do nothing."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

import msgspec
import numpy as np
import pytest

from edged.errors import BadOutput, EngineError, ModelFolderError
from edged.registry.spec import BoxRules, ModelFiles, Reading
from edged.worker.clock import Clock
from edged.worker.engines import Array, Network, TensorInfo
from edged.worker.ocr.networks import Angle, Detector, Recognition
from tests.worker.engines.conftest import Tensor, combined, write_program

NB = ModelFiles("nb", "/nowhere.nb")
Answer = Callable[[Tuple[int, int], int], Array]


class FakeEngine:
    """Answers by its size and the number of the picture; `runs` has how many each run had."""

    def __init__(self, network: Network, answer: Answer) -> None:
        self.size, self.batch = network.input_size, network.batch
        self.runs: List[int] = []
        self._answer = answer

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        width, height = self.size
        return [TensorInfo("x", (1, 3, height, width), "float32")]

    def memory(self, name: str) -> Array:
        raise NotImplementedError("pages and lines come in arrays of their own")

    def run(self, feeds: Dict[str, Array]) -> List[Array]:
        count = len(feeds["x"])
        assert feeds["x"].shape[1:] == self.inputs[0].shape[1:]
        assert 1 <= count <= self.batch
        self.runs.append(count)
        first = sum(self.runs) - count
        answers = [self._answer(self.size, first + number) for number in range(count)]
        return [np.concatenate(answers)]


class Loader:
    """`sizes` are those loaded, `runs` has by width how many pictures each run had;
    `most_alive` is how many engines there were at a time.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._engines: weakref.WeakSet[FakeEngine] = weakref.WeakSet()
        self.sizes: List[Tuple[int, int]] = []
        self.runs: Dict[int, List[int]] = {}
        self.most_alive = 0

    def __call__(self, network: Network) -> FakeEngine:
        engine = FakeEngine(network, self._answer)
        self._engines.add(engine)
        self.sizes.append(network.input_size)
        self.runs[network.input_size[0]] = engine.runs
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


def test_sizes_that_an_nb_does_not_tell() -> None:
    load = Loader(no_text)
    Detector(NB, BoxRules(), load, (480, 320)).find(page(1000, 2000), Clock())
    assert load.sizes == [(480, 320)]
    load = Loader(steps)
    recognition = Recognition(msgspec.structs.replace(reading(), line_width=640), load)
    for width in (100, 9000):
        recognition.read([page(width, 32)], Clock())
    assert load.sizes == [(640, 32)]


def reading(files: ModelFiles = NB, height: int | None = 32) -> Reading:
    return Reading(recognition=files, letters=("a", "b"), line_height=height)


def test_a_line_gets_the_smallest_width_that_holds_it_and_each_is_loaded_once() -> None:
    load = Loader(steps)
    recognition = Recognition(reading(), load)
    for width in (100, 320, 321, 700, 9000, 100, 640):
        recognition.read([page(width, 32)], Clock())
    assert load.sizes == [(320, 32), (448, 32), (1280, 32), (640, 32)]


@pytest.mark.parametrize(("width", "letters"), [(4, 1), (80, 11), (320, 40)])
def test_the_padding_is_not_read(width: int, letters: int) -> None:
    """A step is 4 pixels, and every second one says `a`; one step after the end counts."""
    (text,) = Recognition(reading(), Loader(steps)).read([page(width, 32)], Clock())
    assert text.text == "a" * letters


def free(tmp_path: Path, *shape: int) -> ModelFiles:
    """A program that takes as many pictures as it is given, unless `shape` says otherwise."""
    inputs = [Tensor("x", shape or (-1, 3, 32, -1))]
    return combined(write_program(tmp_path / "model", [], inputs=inputs))


def test_lines_of_one_width_share_runs_and_keep_their_order(tmp_path: Path) -> None:
    load = Loader(steps)
    recognition = Recognition(reading(free(tmp_path)), load)
    widths = [640, 8, 100, 9000, 300, 448, 80, 200, 9000]
    texts = recognition.read([page(width, 32) for width in widths], Clock())
    expected = [80, 2, 13, 160, 38, 56, 11, 26, 160]  # one in 8 pixels, one more in the padding
    assert [len(text.text) for text in texts] == expected
    assert load.runs[320] == [1, 2, 2, 1]  # the first is that of loading
    assert [load.runs[width] for width in (448, 640, 1280)] == [[1], [1], [1, 1]]


@pytest.mark.parametrize("shape", [(1, 3, 32, -1), (1, 3, 32, 320)])
def test_a_network_made_for_one_line_gets_one(tmp_path: Path, shape: Tuple[int, ...]) -> None:
    load = Loader(steps)
    recognition = Recognition(reading(free(tmp_path, *shape)), load)
    assert len(recognition.read([page(100, 32)] * 3, Clock())) == 3
    assert load.runs[320] == [1, 1, 1, 1]


def test_where_the_program_is_not_known_lines_are_alone() -> None:
    load = Loader(steps)
    Recognition(reading(NB), load).read([page(100, 32)] * 3, Clock())
    assert load.runs[320] == [1, 1, 1, 1]


def test_no_lines_are_no_run() -> None:
    load = Loader(steps)
    assert Recognition(reading(), load).read([], Clock()) == []
    assert load.runs[320] == [1]


def test_an_answer_for_fewer_lines_is_an_error(tmp_path: Path) -> None:
    """Not so many lines in which nothing was read."""
    recognition = Recognition(reading(free(tmp_path)), Loader(steps))
    recognition._engines[320].run = lambda feeds: [steps((320, 32), 0)]  # type: ignore[method-assign]
    with pytest.raises(BadOutput, match=r"\[1, 80, 4\] for 2 lines"):
        recognition.read([page(100, 32)] * 2, Clock())


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

    assert Angle(NB, Loader(angle)).turned([page(100, 30)], Clock()) == [turned]


def test_each_line_has_its_own_angle(tmp_path: Path) -> None:
    def every_third(size: Tuple[int, int], run: int) -> Array:
        return np.array([[0, 1] if run % 3 == 1 else [1, 0]], np.float32)

    load = Loader(every_third)
    angle = Angle(free(tmp_path, -1, 3, 48, 192), load)
    turned = angle.turned([page(100, 30)] * 7, Clock())  # the numbers 1 to 7
    assert turned == [True, False, False, True, False, False, True]
    assert load.runs[192] == [1, 3, 3, 1]
