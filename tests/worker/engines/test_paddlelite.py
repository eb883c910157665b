"""The engine: every known trap of Paddle Lite, by running into it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest

from edged.errors import BadOutput, EngineError
from edged.registry.spec import ModelFiles
from edged.worker.engines import Array, TensorInfo, paddlelite
from tests.worker.engines.conftest import (
    IMAGE,
    TWICE,
    Op,
    Tensor,
    combined,
    converted,
    network_of,
    options,
    picture,
    run_python,
    write_program,
)

lite = pytest.importorskip("paddlelite.lite", reason="Paddle Lite is not installed")

AFFINE = Op("scale", "image", "out", TWICE)
AFFINE_SHAPE = Op("scale", "im_shape", "shape", TWICE)
Feeds = Dict[str, Array]


# -- what it gives -------------------------------------------------------------------------


def test_a_network_runs(engine: paddlelite.PaddleLite) -> None:
    assert engine.inputs == [TensorInfo("image", (1, 3, 8, 8), "float32")]
    values = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    out: Any = engine.run({"image": values})[0]
    np.testing.assert_allclose(out, 2 * values + 1, rtol=1e-6)


@pytest.mark.parametrize("kind", ["combined", "nb"])
def test_a_detector_sees_its_second_input(picodet: ModelFiles, tmp_path: Path, kind: str) -> None:
    network = network_of(picodet, (320, 320))
    if kind == "nb":
        path = converted(network, tmp_path / "cache")
        network = network_of(ModelFiles(kind="nb", model=path), (320, 320))
    engine = paddlelite.load(network, options(tmp_path / "cache"))
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
    engine = paddlelite.load(network_of(squeezenet, (227, 227)), options(tmp_path / "cache"))
    (out,) = engine.run({"data": picture(shape=(1, 3, 227, 227))})
    assert out.shape == (1, 1000)
    assert out.sum() == pytest.approx(1, abs=1e-4)


def test_no_rows_are_an_answer(tmp_path: Path) -> None:
    rows = Tensor("out", (-1, 4), "int64")
    files = combined(
        write_program(tmp_path / "model", [Op("where_index", "image", "out")], outputs=[rows])
    )
    engine = paddlelite.load(network_of(files), options(tmp_path / "cache"))
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


def test_what_is_written_into_its_memory_counts_once(engine: paddlelite.PaddleLite) -> None:
    memory = engine.memory("image")
    memory[...] = 3
    assert set(engine.run({"image": memory})[0].flat) == {7.0}
    assert set(engine.run({"image": picture(1)})[0].flat) == {3.0}
    memory[...] = 5  # lent before the run that was: now an array as any other
    assert set(engine.run({"image": memory})[0].flat) == {11.0}
    engine.memory("image")[...] = 9
    assert set(engine.run({"image": picture(2)})[0].flat) == {5.0}


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
    engine = paddlelite.load(network_of(picodet, (320, 320)), options(tmp_path / "cache"))
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
    engine = paddlelite.load(network_of(combined(path)), options(tmp_path / "cache"))
    assert engine.inputs[1] == TensorInfo("im_shape", (1, 2), dtype)
    _, out = engine.run({"image": picture(), "im_shape": np.array([[8, 9]], dtype)})
    assert out.tolist() == [[17, 19]]
    with pytest.raises(EngineError, match=f"input im_shape takes {dtype}, not float32"):
        engine.run({"image": picture(), "im_shape": np.array([[8, 9]], np.float32)})


def test_the_trap_another_type_is_silent_garbage(twice: ModelFiles, tmp_path: Path) -> None:
    path = converted(network_of(twice), tmp_path / "cache")
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
    return paddlelite.load(network_of(combined(path)), options(tmp_path / "cache"))


@pytest.mark.parametrize("value", [-0.5, -1.0])
def test_values_that_are_not_finite_are_never_returned(
    logarithm: paddlelite.PaddleLite, value: float
) -> None:
    values = picture(1)
    values[0, 1, 2, 3] = value
    with pytest.raises(BadOutput, match="output out has values that are NaN or infinite"):
        logarithm.run({"image": values})
    assert np.isfinite(logarithm.run({"image": picture(1)})[1]).all()


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
