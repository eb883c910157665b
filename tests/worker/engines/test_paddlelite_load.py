"""Loading a network: what is refused, with which reason, and the first run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from edged import wire
from edged.config import choices, load_settings
from edged.daemon.capacity import Machine
from edged.daemon.plan import Plan, make_plans
from edged.errors import EngineError
from edged.registry.spec import ModelFiles
from edged.worker.engines import Array, TensorInfo, convert, nb, paddlelite
from edged.worker.engines.inputs import try_out
from tests.worker.engines.conftest import (
    IMAGE,
    TWICE,
    Copier,
    Op,
    Tensor,
    combined,
    converted,
    network_of,
    options,
    picture,
    spec_of,
    write_program,
)

lite = pytest.importorskip("paddlelite.lite", reason="Paddle Lite is not installed")

AFFINE = Op("scale", "image", "out", TWICE)
AFFINE_SHAPE = Op("scale", "im_shape", "shape", TWICE)


def test_a_network_that_only_dislikes_a_blank_picture_is_served(tmp_path: Path) -> None:
    path = write_program(
        tmp_path / "model",
        [Op("abs", "image", "positive"), Op("log", "positive", "out")],
        outputs=[Tensor("positive"), Tensor("out")],
    )
    engine = paddlelite.load(network_of(combined(path)), options(tmp_path / "cache"))
    assert np.isfinite(try_out(engine)[1]).all()


def test_a_network_that_answers_nan_for_anything_is_refused(tmp_path: Path) -> None:
    negative = (("scale", 0.0), ("bias", -1.0), ("bias_after_scale", True))
    path = write_program(
        tmp_path / "model",
        [Op("scale", "image", "negative", negative), Op("log", "negative", "out")],
        outputs=[Tensor("negative"), Tensor("out")],
    )
    engine = paddlelite.load(network_of(combined(path)), options(tmp_path / "cache"))
    with pytest.raises(EngineError, match=r"output out has values .* blank picture and for noise"):
        try_out(engine)


def test_the_first_run_has_sensible_inputs(tmp_path: Path) -> None:
    """log(scale_factor) and log(im_shape - 3.5): zeros, or ones for both, answer NaN."""
    minus = (("scale", 1.0), ("bias", -3.5), ("bias_after_scale", True))
    image = Tensor("image", (1, 3, 4, 8))
    aside = [Tensor(name, (1, 2)) for name in ("scale_factor", "im_shape")]
    outputs = [Tensor(name, (1, 2)) for name in ("scale", "less", "shape")]
    path = write_program(
        tmp_path / "model",
        [
            AFFINE,
            Op("log", "scale_factor", "scale"),
            Op("scale", "im_shape", "less", minus),
            Op("log", "less", "shape"),
        ],
        inputs=[image, *aside],
        outputs=[Tensor("out", image.shape), *outputs],
    )
    try_out(paddlelite.load(network_of(combined(path), (8, 4)), options(tmp_path / "cache")))


class LosesArrays:
    """A tensor as numpy 2 leaves it: what is handed over does not arrive."""

    def __init__(self, array: Array) -> None:
        self._array = array

    def numpy(self) -> Array:
        return self._array.copy()


def test_writes_that_do_not_arrive_are_seen() -> None:
    info = TensorInfo("image", (1, 3, 8, 8), "float32")
    for array in (picture(), picture(shape=(1, 3, 8, 9)), picture().astype("int32")):
        with pytest.raises(EngineError, match=r"does not arrive in Paddle Lite: install numpy<2"):
            paddlelite.check_writes(LosesArrays(array), info)


def test_writes_are_checked_at_load(
    twice: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        lite, "create_paddle_predictor", lambda config: Predictor(LosesArrays(picture(0)))
    )
    with pytest.raises(EngineError, match="does not arrive"):
        paddlelite.load(network_of(twice), options(tmp_path / "cache"))


class Predictor:
    """A predictor of one picture."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor
        tensor.from_numpy = lambda array: None
        tensor.precision = lambda: lite.PrecisionType.FP32

    def get_input_names(self) -> List[str]:
        return ["image"]

    def get_output_names(self) -> List[str]:
        return ["out"]

    def get_input(self, index: int) -> Any:
        return self._tensor


def test_an_input_of_another_type_is_refused(tmp_path: Path) -> None:
    tensor = LosesArrays(picture())
    predictor = Predictor(tensor)
    tensor.precision = lambda: lite.PrecisionType.UINT8  # type: ignore[attr-defined]
    network = network_of(ModelFiles(kind="nb", model=str(tmp_path)))
    with pytest.raises(EngineError, match="input image of the network takes UINT8"):
        paddlelite.PaddleLite(predictor, network)


def test_an_input_that_nobody_feeds_is_named(tmp_path: Path) -> None:
    path = write_program(
        tmp_path / "model",
        [AFFINE, Op("scale", "im_info", "size", TWICE)],
        inputs=[IMAGE, Tensor("im_info", (1, 2), "int32")],
        outputs=[Tensor("out"), Tensor("size", (1, 2), "int32")],
    )
    with pytest.raises(EngineError, match=r"one is to be the picture.*: not image and im_info"):
        paddlelite.load(network_of(combined(path)), options(tmp_path / "cache"))


def test_a_network_without_a_picture_is_refused(tmp_path: Path) -> None:
    path = write_program(
        tmp_path / "model",
        [AFFINE_SHAPE],
        inputs=[Tensor("im_shape", (1, 2))],
        outputs=[Tensor("shape", (1, 2))],
    )
    with pytest.raises(EngineError, match=r"one is to be the picture.*: not none"):
        paddlelite.load(network_of(combined(path)), options(tmp_path / "cache"))


def test_a_network_made_for_another_size_is_refused(picodet: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        paddlelite.load(network_of(picodet, (416, 320)), options(tmp_path / "cache"))
    assert "[1, 3, 320, 320]" in str(caught.value)
    assert "[1, 3, 320, 416]" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_size_that_is_only_the_exports_does_not_bind(tmp_path: Path) -> None:
    """PaddleOCR's angle networks declare 32 x 100 and are made for 48 x 192."""
    path = write_program(tmp_path / "model", [AFFINE], inputs=[Tensor("image", (-1, 3, 8, 8))])
    network = network_of(combined(path), (24, 16))
    with pytest.raises(EngineError, match="is made for the shape"):
        paddlelite.load(network, options(tmp_path / "cache"))
    engine = paddlelite.load(network._replace(resizable=True), options(tmp_path / "cache"))
    assert engine.run({"image": picture(1, (1, 3, 16, 24))})[0].shape == (1, 3, 16, 24)


def test_the_channels_of_a_resizable_picture_do_bind(tmp_path: Path) -> None:
    path = write_program(tmp_path / "model", [AFFINE], inputs=[Tensor("image", (-1, 4, 8, 8))])
    network = network_of(combined(path), (24, 16))._replace(resizable=True)
    with pytest.raises(EngineError, match="is made for the shape"):
        paddlelite.load(network, options(tmp_path / "cache"))


def test_a_file_for_another_machine_is_refused(exported: Path, tmp_path: Path) -> None:
    if nb.host_target() != "x86":
        pytest.skip("the file is made for this machine")
    path = str(exported / "wrong_target" / "picodet_xs_320_coco_arm.nb")
    network = network_of(ModelFiles(kind="nb", model=path), (320, 320))
    with pytest.raises(EngineError, match="made for ARM, this machine is x86-64"):
        paddlelite.load(network, options(tmp_path))


def test_a_file_cut_short_is_refused(picodet: ModelFiles, tmp_path: Path) -> None:
    path = Path(converted(network_of(picodet, (320, 320)), tmp_path / "cache"))
    path.write_bytes(path.read_bytes()[:2_000_000])
    network = network_of(ModelFiles(kind="nb", model=str(path)), (320, 320))
    with pytest.raises(EngineError, match="is cut short at 2000000 bytes"):
        paddlelite.load(network, options(tmp_path))


def test_a_network_without_outputs_is_refused(
    picodet: ModelFiles, copied: Copier, tmp_path: Path
) -> None:
    files = copied(picodet)
    Path(files.model).write_bytes(Path(files.model).read_bytes()[:100_000])
    path = convert.to_nb(lite, files, (), str(tmp_path / "cache"))  # the trap: no complaint
    network = network_of(ModelFiles(kind="nb", model=path), (320, 320))
    with pytest.raises(EngineError, match="the network has no outputs"):
        paddlelite.load(network, options(tmp_path))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> List[object]:
    """What a build for ARM is asked for. Only such builds have these methods, so here they are put
    on the real class."""
    asked: List[object] = []

    class ForArm(lite.MobileConfig):  # type: ignore[misc,name-defined]
        def set_threads(self, threads: int) -> None:
            asked.append(threads)

        def set_power_mode(self, mode: object) -> None:
            asked.append(mode)

    monkeypatch.setattr(lite, "MobileConfig", ForArm)
    return asked


def test_a_build_without_threads_and_power_mode(twice: ModelFiles, tmp_path: Path) -> None:
    paddlelite.load(network_of(twice), options(tmp_path / "cache", threads=3))


@pytest.mark.parametrize("mode", choices("power_mode"))
def test_threads_and_power_mode_where_the_build_has_them(
    twice: ModelFiles, tmp_path: Path, asked: List[object], mode: str
) -> None:
    """From the command line to the engine, on an idle board of four cores."""
    flags = {"power_mode": mode, "state": str(tmp_path), "engine": "paddlelite"}
    board = Machine(cores=4, available=4 << 30, arm=True)
    (plan,) = make_plans([spec_of(twice)], load_settings(None, {}, flags), board)
    assert isinstance(plan, Plan)
    (attempt,) = plan.attempts
    assert isinstance(attempt.load, wire.Load)
    paddlelite.load(network_of(twice), attempt.load.options)
    assert asked == [4, getattr(lite.PowerMode, f"LITE_POWER_{mode.upper()}")]


def test_a_python_without_paddle_lite(
    twice: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "paddlelite.lite", None)
    with pytest.raises(EngineError, match=r"wheels for CPython 3\.8 and 3\.10"):
        paddlelite.load(network_of(twice), options(tmp_path / "cache"))
