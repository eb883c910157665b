"""Outputs that are not finite, from the engine to the results: a failure is never an empty answer.

The networks answer their picture, so that pixels are what is detected: normalising makes
those over 34 infinite and leaves 0 as it is.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Callable, List, Sequence, Tuple

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.errors import BadOutput, EngineError
from edged.registry.spec import ModelSpec, Normalize, Task
from edged.results import Result
from edged.wire import PredictOptions
from edged.worker.clock import Clock
from edged.worker.decode import whole
from edged.worker.engines import loader
from edged.worker.tasks import TASKS
from tests.worker.engines.conftest import Op, Tensor, combined, options, write_program

ROWS, ROW = (12, 6), (1, 72)


def flatten(engine: str, shape: Tuple[int, ...]) -> Op:
    """To `shape`, by the operator that the engine has for it."""
    last = 3 if shape == ROWS else 1  # the first axis that is not made one with those before
    if engine == "paddlelite":
        return Op("flatten", "image", "out", (("axis", last),))
    first, last = (0, 2) if shape == ROWS else (1, 3)
    axes = (("start_axis", first), ("stop_axis", last))
    return Op("flatten_contiguous_range", "image", "out", axes)


OVERFLOW = Normalize(color="BGR", scale=1e37)
BOX, BROKEN = (0, 9, 0, 0, 9, 9), (0, 9, 0, 0, 255, 9)

Ask = Callable[..., List[Result]]


@pytest.fixture(params=["paddlelite", "paddle"])
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Ask:
    """Asks a network that answers the picture's rows of one colour after the other."""
    engine: str = request.param
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    image = Tensor("image", (1, 3, 4, 6))

    def ask(
        kind: Task, rows: Sequence[Tuple[int, ...]], shape: Tuple[int, int] = ROWS
    ) -> List[Result]:
        out = Tensor("out", shape)
        path = tmp_path / "model"
        files = combined(write_program(path, [flatten(engine, out.shape)], [image], [out]))
        spec = ModelSpec(
            mid=1,
            name="model",
            task=kind,
            exporter="test",
            folder=str(tmp_path),
            files=files,
            preprocess=(OVERFLOW,),
            input_size=(6, 4),
        )
        task = TASKS[kind](spec, loader(options(tmp_path / "cache", engine=engine)))
        return task.predict(whole(picture(rows)), PredictOptions(), Clock())

    return ask


def picture(rows: Sequence[Tuple[int, ...]]) -> NDArray[np.uint8]:
    """BGR, of which the uppermost blue, green, red lines are `rows` and the rest is 0."""
    planes = np.zeros((12, 6), np.uint8)
    planes[: len(rows)] = rows
    return np.ascontiguousarray(planes.reshape(3, 4, 6).transpose(1, 2, 0))


@pytest.mark.parametrize("rows", [[BROKEN, BOX], [BOX, BROKEN], [BROKEN, BOX, BROKEN]])
def test_a_box_that_is_not_finite_is_dropped_and_the_others_stay(
    ask: Ask, rows: Sequence[Tuple[int, ...]]
) -> None:
    assert [result.score for result in ask("detection", rows)] == [1.0]


def test_of_a_classifier_everything_must_be_finite(ask: Ask) -> None:
    with pytest.raises(BadOutput, match="output out has values that are NaN or infinite"):
        ask("classification", [BROKEN, BOX], ROW)


def test_where_no_box_is_finite_it_is_an_error(ask: Ask) -> None:
    with pytest.raises(BadOutput, match="output out has values that are NaN or infinite"):
        ask("detection", [BROKEN] * 12)


def test_a_network_of_another_task_is_refused_when_it_is_loaded(ask: Ask) -> None:
    with pytest.raises(EngineError, match="cannot serve as classification"):
        ask("classification", [BOX], ROWS)
