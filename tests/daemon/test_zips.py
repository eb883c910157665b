"""Zips that are dropped among the models: served as the folders in them would be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest

from tests.daemon.contract import BINARY, assert_same, results
from tests.daemon.test_golden import expected_boxes
from tests.registry.packing import pack_folder
from tests.support import RunningDaemon

PICODET = "picodet_xs_320_coco"


@pytest.mark.parametrize("top", ["", f"{PICODET}/"])
def test_a_zip_is_served_and_what_is_no_zip_harms_nothing(
    start_daemon: Callable[..., RunningDaemon], fixtures: Path, tmp_path: Path, top: str
) -> None:
    models, state = tmp_path / "models", tmp_path / "state"
    models.mkdir()
    packed = pack_folder(models / "10-helmets.zip", fixtures / "models" / PICODET, top)
    (models / "11-cut.zip").write_bytes(packed.read_bytes()[:-1000])
    daemon = start_daemon(models=models, state=state)
    model = daemon.model(10)
    assert (model["name"], model["task"], model["state"]) == ("helmets", "detection", "ready")
    cut = daemon.model(11)
    assert (cut["name"], cut["state"]) == ("cut", "failed")
    assert cut["reason"] == "it is no zip, or not a whole one: cut short, or still being copied"
    golden = json.loads((fixtures / "golden.json").read_text())
    image = (fixtures / "photos" / "dog_bike_car.jpg").read_bytes()
    found = results(daemon.post(f"{BINARY}?mid=10", image))
    assert_same(found, expected_boxes(golden, "dog_bike_car.jpg"), pixels=1.0, score=0.005)
    packed.unlink()
    daemon.close()
    assert len(list((state / "versions").iterdir())) == 2
    start_daemon(models=models, state=state)
    assert [path.name for path in (state / "versions").iterdir()] == ["lock"]
