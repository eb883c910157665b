"""The engine: every known trap of Paddle Lite, by running into it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest

from edged.errors import BadOutput, EngineError
from edged.registry.spec import ModelFiles, ModelSpec
from edged.wire import TensorInfo
from edged.worker.engines import Array, convert, load_engine, nb, paddlelite
from tests.worker.engines.conftest import (
    IMAGE,
    TWICE,
    Copier,
    Op,
    Tensor,
    combined,
    run_python,
    spec_of,
    write_program,
)

lite = pytest.importorskip("paddlelite.lite", reason="Paddle Lite is not installed")

AFFINE = Op("scale", "image", "out", TWICE)
AFFINE_SHAPE = Op("scale", "im_shape", "shape", TWICE)
Feeds = Dict[str, Array]


def picture(value: float = 1.0, shape: Tuple[int, ...] = (1, 3, 8, 8)) -> Array:
    return np.full(shape, value, np.float32)


@pytest.fixture
def engine(twice: ModelFiles, tmp_path: Path) -> paddlelite.PaddleLite:
    return paddlelite.load(spec_of(twice), str(tmp_path / "cache"), 1)


def converted(spec: ModelSpec, cache: Path) -> str:
    paddlelite.load(spec, str(cache), 1)
    (path,) = cache.glob("*.nb")
    return str(path)


# -- what it gives -------------------------------------------------------------------------


def test_a_network_runs(engine: paddlelite.PaddleLite) -> None:
    assert engine.inputs == [TensorInfo("image", (1, 3, 8, 8), "float32")]
    values = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    out: Any = engine.run({"image": values})[0]
    np.testing.assert_allclose(out, 2 * values + 1, rtol=1e-6)


@pytest.mark.parametrize("kind", ["combined", "nb"])
def test_a_detector_sees_its_second_input(picodet: ModelFiles, tmp_path: Path, kind: str) -> None:
    spec = spec_of(picodet, (320, 320))
    if kind == "nb":
        path = converted(spec, tmp_path / "cache")
        spec = spec_of(ModelFiles(kind="nb", model=path), (320, 320))
    engine = load_engine(spec, str(tmp_path / "cache"), 1)
    assert {info.name: info.shape for info in engine.inputs} == {
        "image": (1, 3, 320, 320),
        "scale_factor": (1, 2),
    }
    image = np.random.default_rng(1).standard_normal((1, 3, 320, 320)).astype(np.float32)
    whole: Any = engine.run({"image": image, "scale_factor": np.full((1, 2), 1, np.float32)})
    half: Any = engine.run({"image": image, "scale_factor": np.full((1, 2), 0.5, np.float32)})
    np.testing.assert_allclose(2 * whole[0][:, 2:], half[0][:, 2:], rtol=1e-3)
    assert whole[1].dtype == np.int32


def test_a_folder_with_a_file_for_each_parameter(squeezenet: ModelFiles, tmp_path: Path) -> None:
    engine = paddlelite.load(spec_of(squeezenet, (227, 227)), str(tmp_path / "cache"), 1)
    (out,) = engine.run({"data": picture(shape=(1, 3, 227, 227))})
    assert out.shape == (1, 1000)
    assert out.sum() == pytest.approx(1, abs=1e-4)


def test_no_rows_are_an_answer(tmp_path: Path) -> None:
    rows = Tensor("out", (-1, 4), "int64")
    files = combined(
        write_program(tmp_path / "model", [Op("where_index", "image", "out")], outputs=[rows])
    )
    engine = paddlelite.load(spec_of(files), str(tmp_path / "cache"), 1)
    assert engine.run({"image": picture(0)})[0].shape == (0, 4)
    assert engine.run({"image": picture(1)})[0].shape == (3 * 8 * 8, 4)


def test_outputs_are_the_callers_own(engine: paddlelite.PaddleLite) -> None:
    (first,) = engine.run({"image": picture(1)})
    (second,) = engine.run({"image": picture(2)})
    assert first.flags.owndata
    assert set(first.flat) == {3.0}
    assert set(second.flat) == {5.0}


def test_inputs_are_left_as_they_were(engine: paddlelite.PaddleLite) -> None:
    values = picture(1)
    engine.run({"image": values})
    engine.run({"image": picture(2)})
    assert set(values.flat) == {1.0}


# -- inputs: one shape, one type, all of them ------------------------------------------------


def other_order(array: Array) -> Array:
    """The same values, laid out the other way round."""
    return np.ascontiguousarray(array.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)


@pytest.mark.parametrize(
    "lay_out",
    [
        other_order,
        np.asfortranarray,
        lambda array: np.repeat(array, 2, axis=3)[:, :, :, ::2],
        lambda array: array[:, ::-1].copy()[:, ::-1],
    ],
)
def test_any_layout_in_memory_will_do(
    engine: paddlelite.PaddleLite, lay_out: Callable[[Array], Array]
) -> None:
    values = np.arange(192, dtype=np.float32).reshape(1, 3, 8, 8)
    given = lay_out(values)
    assert not given.flags.c_contiguous
    np.testing.assert_array_equal(engine.run({"image": given})[0], 2 * values + 1)


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"picture": picture()},
        {"image": picture(), "scale_factor": np.ones((1, 2), np.float32)},
    ],
)
def test_names_are_exactly_the_networks(engine: paddlelite.PaddleLite, feeds: Feeds) -> None:
    with pytest.raises(EngineError, match=r"takes \['image'\], not \["):
        engine.run(feeds)


def test_every_input_is_fed(picodet: ModelFiles, tmp_path: Path) -> None:
    engine = paddlelite.load(spec_of(picodet, (320, 320)), str(tmp_path / "cache"), 1)
    with pytest.raises(EngineError, match=r"takes \['image', 'scale_factor'\], not \['image'\]"):
        engine.run({"image": picture(shape=(1, 3, 320, 320))})


@pytest.mark.parametrize(
    "shape",
    [
        (1, 3, 8, 16),
        (1, 3, 16, 8),
        (1, 3, 4, 4),
        (1, 4, 8, 8),
        (1, 1, 8, 8),
        (2, 3, 8, 8),
        (3, 8, 8),
        (1, 8, 8, 3),
        (1, 3, 64),
        (),
    ],
)
def test_another_shape_is_refused(engine: paddlelite.PaddleLite, shape: Tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match=r"takes the shape \[1, 3, 8, 8\], not \["):
        engine.run({"image": picture(shape=shape)})
    assert set(engine.run({"image": picture(1)})[0].flat) == {3.0}


@pytest.mark.parametrize("dtype", ["float64", "int64", "int32", "uint8", "float16", "bool", ">f4"])
def test_another_type_is_refused(engine: paddlelite.PaddleLite, dtype: str) -> None:
    with pytest.raises(EngineError, match=r"input image takes float32, not "):
        engine.run({"image": picture().astype(dtype)})


@pytest.mark.parametrize("value", [None, [1.0], 1.0])
def test_what_is_no_array_is_refused(engine: paddlelite.PaddleLite, value: Any) -> None:
    with pytest.raises(EngineError, match=r"input image takes float32, not (NoneType|list|float)"):
        engine.run({"image": value})


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_where_the_network_wants_them(tmp_path: Path, dtype: str) -> None:
    shape = Tensor("im_shape", (1, 2), dtype)
    path = write_program(
        tmp_path / "model",
        [AFFINE, AFFINE_SHAPE],
        inputs=[IMAGE, shape],
        outputs=[Tensor("out"), Tensor("shape", (1, 2), dtype)],
    )
    engine = paddlelite.load(spec_of(combined(path)), str(tmp_path / "cache"), 1)
    assert engine.inputs[1] == TensorInfo("im_shape", (1, 2), dtype)
    _, out = engine.run({"image": picture(), "im_shape": np.array([[8, 9]], dtype)})
    assert out.tolist() == [[17, 19]]
    with pytest.raises(EngineError, match=f"input im_shape takes {dtype}, not float32"):
        engine.run({"image": picture(), "im_shape": np.array([[8, 9]], np.float32)})


def test_the_trap_another_type_is_silent_garbage(twice: ModelFiles, tmp_path: Path) -> None:
    path = converted(spec_of(twice), tmp_path / "cache")
    code = """
import sys, numpy as np
from paddlelite import lite
config = lite.MobileConfig()
config.set_model_from_file(sys.argv[1])
predictor = lite.create_paddle_predictor(config)
predictor.get_input(0).from_numpy(np.full((1, 3, 8, 8), 3.0, "float64"))
predictor.run()
print("RAN", (predictor.get_output(0).numpy() == 7.0).all())
"""
    assert "RAN False" in run_python(code, path).stdout


# -- outputs ---------------------------------------------------------------------------------


@pytest.fixture
def logarithm(tmp_path: Path) -> paddlelite.PaddleLite:
    """A network that answers log(2 x + 1): -inf for -1/2, NaN below."""
    path = write_program(
        tmp_path / "model",
        [Op("scale", "image", "twice", TWICE), Op("log", "twice", "out")],
        outputs=[Tensor("twice"), Tensor("out")],
    )
    return paddlelite.load(spec_of(combined(path)), str(tmp_path / "cache"), 1)


@pytest.mark.parametrize("value", [-0.5, -1.0])
def test_values_that_are_not_finite_are_never_returned(
    logarithm: paddlelite.PaddleLite, value: float
) -> None:
    values = picture(1)
    values[0, 1, 2, 3] = value
    with pytest.raises(BadOutput, match="output out has values that are NaN or infinite"):
        logarithm.run({"image": values})
    assert np.isfinite(logarithm.run({"image": picture(1)})[1]).all()


# -- loading ---------------------------------------------------------------------------------


def test_a_network_that_only_dislikes_a_blank_picture_is_served(tmp_path: Path) -> None:
    path = write_program(
        tmp_path / "model",
        [Op("abs", "image", "positive"), Op("log", "positive", "out")],
        outputs=[Tensor("positive"), Tensor("out")],
    )
    engine = paddlelite.load(spec_of(combined(path)), str(tmp_path / "cache"), 1)
    assert set(engine.run({"image": picture(1)})[1].flat) == {0.0}


def test_a_network_that_answers_nan_for_anything_is_refused(tmp_path: Path) -> None:
    negative = (("scale", 0.0), ("bias", -1.0), ("bias_after_scale", True))
    path = write_program(
        tmp_path / "model",
        [Op("scale", "image", "negative", negative), Op("log", "negative", "out")],
        outputs=[Tensor("negative"), Tensor("out")],
    )
    with pytest.raises(EngineError, match=r"output out has values .* blank picture and for noise"):
        paddlelite.load(spec_of(combined(path)), str(tmp_path / "cache"), 1)


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
    paddlelite.load(spec_of(combined(path), (8, 4)), str(tmp_path / "cache"), 1)


def test_another_thread_is_refused(engine: paddlelite.PaddleLite) -> None:
    errors: List[str] = []

    def run() -> None:
        try:
            engine.run({"image": picture()})
        except EngineError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == ["the network runs on the thread that loaded it, and on no other"]


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
        paddlelite.load(spec_of(twice), str(tmp_path / "cache"), 1)


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
    spec = spec_of(ModelFiles(kind="nb", model=str(tmp_path)))
    with pytest.raises(EngineError, match="input image of the network takes UINT8"):
        paddlelite.PaddleLite(predictor, spec)


def test_an_input_that_nobody_feeds_is_named(tmp_path: Path) -> None:
    path = write_program(
        tmp_path / "model",
        [AFFINE, Op("scale", "im_size", "size", TWICE)],
        inputs=[IMAGE, Tensor("im_size", (1, 2), "int32")],
        outputs=[Tensor("out"), Tensor("size", (1, 2), "int32")],
    )
    with pytest.raises(EngineError, match=r"one is to be the picture.*: not image and im_size"):
        paddlelite.load(spec_of(combined(path)), str(tmp_path / "cache"), 1)


def test_a_network_without_a_picture_is_refused(tmp_path: Path) -> None:
    path = write_program(
        tmp_path / "model",
        [AFFINE_SHAPE],
        inputs=[Tensor("im_shape", (1, 2))],
        outputs=[Tensor("shape", (1, 2))],
    )
    with pytest.raises(EngineError, match=r"one is to be the picture.*: not none"):
        paddlelite.load(spec_of(combined(path)), str(tmp_path / "cache"), 1)


def test_a_network_made_for_another_size_is_refused(picodet: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        paddlelite.load(spec_of(picodet, (416, 320)), str(tmp_path / "cache"), 1)
    assert "[1, 3, 320, 320]" in str(caught.value)
    assert "[1, 3, 320, 416]" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_file_for_another_machine_is_refused(models: Path, tmp_path: Path) -> None:
    if nb.host_target() != "x86":
        pytest.skip("the file is made for this machine")
    path = str(models / "wrong_target" / "picodet_xs_320_coco_arm.nb")
    spec = spec_of(ModelFiles(kind="nb", model=path), (320, 320))
    with pytest.raises(EngineError, match="made for ARM, this machine is x86-64"):
        paddlelite.load(spec, str(tmp_path), 1)


def test_a_file_cut_short_is_refused(picodet: ModelFiles, tmp_path: Path) -> None:
    path = Path(converted(spec_of(picodet, (320, 320)), tmp_path / "cache"))
    path.write_bytes(path.read_bytes()[:2_000_000])
    spec = spec_of(ModelFiles(kind="nb", model=str(path)), (320, 320))
    with pytest.raises(EngineError, match="is cut short at 2000000 bytes"):
        paddlelite.load(spec, str(tmp_path), 1)


def test_a_network_without_outputs_is_refused(
    picodet: ModelFiles, copied: Copier, tmp_path: Path
) -> None:
    files = copied(picodet)
    Path(files.model).write_bytes(Path(files.model).read_bytes()[:100_000])
    path = convert.to_nb(lite, files, (), str(tmp_path / "cache"))  # the trap: no complaint
    spec = spec_of(ModelFiles(kind="nb", model=path), (320, 320))
    with pytest.raises(EngineError, match="the network has no outputs"):
        paddlelite.load(spec, str(tmp_path), 1)


def test_threads_where_the_build_has_them(
    twice: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: List[int] = []

    class ForArm(lite.MobileConfig):  # type: ignore[misc,name-defined]
        def set_threads(self, threads: int) -> None:
            asked.append(threads)

    paddlelite.load(spec_of(twice), str(tmp_path / "cache"), 3)  # this build may have none
    monkeypatch.setattr(lite, "MobileConfig", ForArm)
    paddlelite.load(spec_of(twice), str(tmp_path / "cache"), 3)
    assert asked == [3]


def test_a_python_without_paddle_lite(
    twice: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "paddlelite.lite", None)
    with pytest.raises(EngineError, match=r"wheels for CPython 3\.8 and 3\.10"):
        paddlelite.load(spec_of(twice), str(tmp_path / "cache"), 1)
