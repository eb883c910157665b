"""How the cores and the memory of a machine are divided."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Optional

import msgspec
import pytest

from edged.config import Settings
from edged.daemon import capacity
from edged.daemon.capacity import Machine, Share, share_of, this_machine
from edged.daemon.plan import make_plan_beside, make_plans
from edged.registry.spec import EngineChoice, ModelFiles, ModelSpec, Reading

GB = 1 << 30


def spec_of(
    folder: Path,
    size: int = 4 << 20,
    instances: Optional[int] = None,
    threads: Optional[int] = None,
) -> ModelSpec:
    with open(folder / "model.nb", "wb") as file:
        file.truncate(size)
    return ModelSpec(
        mid=1,
        name="model",
        task="detection",
        exporter="native",
        folder=str(folder),
        files=ModelFiles("nb", str(folder / "model.nb")),
        preprocess=(),
        input_size=(320, 320),
        instances=instances,
        threads=threads,
    )


def x86(cores: int, available: int = 64 * GB) -> Machine:
    return Machine(cores, available, arm=False)


@pytest.mark.parametrize(
    ("cores", "models", "expected"),
    [
        (1, 1, Share(1, 1, False)),
        (2, 1, Share(2, 1, False)),
        (4, 1, Share(4, 1, False)),
        (64, 1, Share(4, 1, True)),
        (8, 2, Share(4, 1, True)),
        (2, 2, Share(1, 1, True)),
        (4, 20, Share(1, 1, True)),
    ],
)
def test_paddle_lite_on_x86_has_no_threads_so_workers_use_the_cores(
    tmp_path: Path, cores: int, models: int, expected: Share
) -> None:
    assert share_of(spec_of(tmp_path), "paddlelite", models, x86(cores)) == expected


@pytest.mark.parametrize(
    ("cores", "models", "expected"),
    [
        (1, 1, Share(1, 1, False)),
        (4, 1, Share(1, 4, True)),
        (8, 1, Share(1, 4, True)),
        (8, 4, Share(1, 2, True)),
        (4, 3, Share(1, 1, True)),
    ],
)
@pytest.mark.parametrize(
    ("engine", "arm"), [("paddlelite", True), ("paddle", True), ("paddle", False)]
)
def test_elsewhere_it_is_one_worker_whose_threads_do(
    tmp_path: Path, cores: int, models: int, expected: Share, engine: str, arm: bool
) -> None:
    machine = Machine(cores, 64 * GB, arm)
    assert share_of(spec_of(tmp_path), engine, models, machine) == expected


def test_never_more_than_the_memory_carries(tmp_path: Path) -> None:
    large = spec_of(tmp_path, 100 << 20)
    assert share_of(large, "paddlelite", 1, x86(4, 2 * GB)).instances == 3
    assert share_of(large, "paddlelite", 1, x86(4, GB // 2)).instances == 1
    # But one there is: loading may tell why not.
    assert share_of(large, "paddlelite", 1, x86(4, 1)).instances == 1


def test_paddle_inference_weighs_more(tmp_path: Path) -> None:
    small = spec_of(tmp_path, instances=8)
    board = Machine(4, 3 * GB // 2, arm=True)
    lite, paddle = (share_of(small, engine, 1, board) for engine in ("paddlelite", "paddle"))
    assert lite.instances == 8
    assert 1 < paddle.instances <= 8
    assert share_of(small, "paddle", 3, board).instances < 4


def test_text_takes_more_than_its_files_say(tmp_path: Path) -> None:
    """All three networks count, and what a large page takes beside them."""
    for name in ("rec", "cls"):
        (tmp_path / name).write_bytes(bytes(4 << 20))
    rec, cls = (ModelFiles("nb", str(tmp_path / name)) for name in ("rec", "cls"))
    found = spec_of(tmp_path)
    text = msgspec.structs.replace(
        found, task="ocr", input_size=None, reading=Reading(rec, ("a",), cls)
    )
    board = x86(4, 2 * GB)
    assert share_of(found, "paddlelite", 1, board).instances == 4
    assert share_of(text, "paddlelite", 1, board).instances == 2
    assert share_of(text, "paddle", 1, Machine(4, GB, arm=True)).instances == 1


def test_what_the_model_says_is_done(tmp_path: Path) -> None:
    own = spec_of(tmp_path, instances=3, threads=2)
    assert share_of(own, "paddlelite", 1, x86(2)) == Share(3, 2, False)
    assert share_of(spec_of(tmp_path, threads=3), "paddle", 1, x86(2)) == Share(1, 3, True)
    large = spec_of(tmp_path, 100 << 20, instances=8)
    assert share_of(large, "paddlelite", 1, x86(8, 2 * GB)).instances < 8


def test_a_model_with_a_file_for_each_parameter(tmp_path: Path) -> None:
    folder = tmp_path / "network"
    folder.mkdir()
    for name in ("__model__", "conv1", "conv2"):
        with open(folder / name, "wb") as file:
            file.truncate(40 << 20)
    separate = ModelSpec(
        mid=1,
        name="model",
        task="detection",
        exporter="native",
        folder=str(tmp_path),
        files=ModelFiles("separate", str(folder)),
        preprocess=(),
        input_size=(320, 320),
    )
    assert share_of(separate, "paddlelite", 1, x86(4, GB)).instances == 1
    assert share_of(separate, "paddlelite", 1, x86(4, 5 * GB // 2)).instances == 3


def plans(tmp_path: Path, models: int, available: int, engine: EngineChoice) -> List[bool]:
    """Which of as many small models are to be served."""
    specs = [spec_of(tmp_path)] * models
    settings = Settings(state=str(tmp_path / "state"), engine=engine)
    made = make_plans(specs, settings, Machine(4, available, arm=False))
    for plan in made:
        assert not isinstance(plan, str) or "memory" in plan
    return [not isinstance(plan, str) for plan in made]


def test_models_that_memory_cannot_carry_are_refused(tmp_path: Path) -> None:
    assert plans(tmp_path, 30, 4 * GB, "paddle") == [True] * 30
    served = plans(tmp_path, 30, GB // 2, "paddle")
    assert served == sorted(served, reverse=True), "those with the lower mids come first"
    assert 0 < sum(served) < 20


def test_the_first_is_tried_whatever_the_figures_say(tmp_path: Path) -> None:
    assert plans(tmp_path, 2, 1, "paddlelite") == [True, False]


def test_this_machine(tmp_path: Path) -> None:
    machine = this_machine()
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.available > 100 << 20


def test_a_version_beside_those_that_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shares the machine as it was before they were, and fits into what they leave."""
    spec, settings = spec_of(tmp_path), Settings(engine="paddlelite", state=str(tmp_path))
    machine, loaded = x86(4, 8 * GB), {"paddlelite"}
    monkeypatch.setattr(capacity, "this_machine", lambda: x86(4, 20 << 20))
    plan = make_plan_beside(spec, 1, settings, machine, loaded)
    assert not isinstance(plan, str)
    assert plan.attempts[0].instances == 4
    monkeypatch.setattr(capacity, "this_machine", lambda: x86(4, 10 << 20))
    assert make_plan_beside(spec, 1, settings, machine, loaded) == (
        "10 MB of memory are left by the models before it, and it needs 16 at the least"
    )
    # The first one is tried whatever the figures say.
    assert not isinstance(make_plan_beside(spec, 1, settings, machine, set()), str)
