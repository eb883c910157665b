"""How the cores and the memory of a machine are divided."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import pytest

from edged.daemon.capacity import Share, divide, share_of
from edged.registry.spec import ModelFiles, ModelSpec

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


@pytest.mark.parametrize(
    ("cores", "models", "expected"),
    [
        (1, 1, Share(1, 1)),
        (2, 1, Share(2, 1)),
        (4, 1, Share(2, 2)),
        (8, 1, Share(2, 4)),
        (64, 1, Share(2, 4)),
        (4, 2, Share(2, 1)),
        (8, 2, Share(2, 2)),
        (2, 2, Share(1, 1)),
        (4, 3, Share(1, 1)),
        (4, 20, Share(1, 1)),
    ],
)
def test_cores(tmp_path: Path, cores: int, models: int, expected: Share) -> None:
    assert divide(spec_of(tmp_path), models, cores, 64 * GB) == expected


def test_never_more_than_the_memory_carries(tmp_path: Path) -> None:
    large = spec_of(tmp_path, 100 << 20)
    assert divide(large, 1, 4, 2 * GB).instances == 2
    assert divide(large, 1, 4, GB // 2) == Share(1, 4)  # the cores go to the one that is left
    assert divide(large, 1, 4, 1) == Share(1, 4)  # but one there is: loading may tell why not


def test_what_the_model_says_is_done(tmp_path: Path) -> None:
    assert divide(spec_of(tmp_path, instances=3, threads=2), 1, 2, 64 * GB) == Share(3, 2)
    assert divide(spec_of(tmp_path, threads=3), 1, 2, 64 * GB) == Share(2, 3)
    assert divide(spec_of(tmp_path, 100 << 20, instances=8), 1, 8, 2 * GB).instances < 8


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
    assert divide(separate, 1, 4, GB).instances == 1
    assert divide(separate, 1, 4, 2 * GB).instances == 2


def test_this_machine(tmp_path: Path) -> None:
    share = share_of(spec_of(tmp_path), 1)
    assert share.instances in (1, 2)
    assert 1 <= share.threads <= len(os.sched_getaffinity(0))
