"""The Paddle Inference engine: real networks, and what it says of broken ones."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from edged.errors import BadOutput, EngineError
from edged.registry.spec import ModelFiles
from edged.worker.engines import Network, paddle
from tests.worker.engines.conftest import (
    TWICE,
    Copier,
    Op,
    combined,
    network_of,
    options,
    picture,
    run_python,
    write_program,
)

pytest.importorskip("paddle", reason="Paddle Inference is not installed")


@pytest.fixture
def engine(twice: ModelFiles, tmp_path: Path) -> paddle.Paddle:
    return paddle.load(network_of(twice), options(tmp_path))


def test_it_runs_a_network(engine: paddle.Paddle) -> None:
    (output,) = engine.run({"image": picture(3.0)})
    np.testing.assert_array_equal(output, picture(7.0))


def test_it_reads_a_folder_with_a_file_for_each_parameter(
    squeezenet: ModelFiles, tmp_path: Path
) -> None:
    engine = paddle.load(network_of(squeezenet, (227, 227)), options(tmp_path))
    (output,) = engine.run({"data": picture(0.0, (1, 3, 227, 227))})
    assert output.size == 1000


def test_outputs_are_the_callers_own(engine: paddle.Paddle) -> None:
    (first,) = engine.run({"image": picture(1.0)})
    engine.run({"image": picture(5.0)})
    np.testing.assert_array_equal(first, picture(3.0))


def test_what_is_written_into_its_memory_counts_once(engine: paddle.Paddle) -> None:
    memory = engine.memory("image")
    memory[...] = 3
    assert set(engine.run({"image": memory})[0].flat) == {7.0}
    assert set(engine.run({"image": picture(1)})[0].flat) == {3.0}
    memory[...] = 5  # lent before the run that was: now an array as any other
    assert set(engine.run({"image": memory})[0].flat) == {11.0}
    engine.memory("image")[...] = 9
    assert set(engine.run({"image": picture(2)})[0].flat) == {5.0}


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({}, "takes"),
        ({"image": picture(), "other": picture()}, "other"),
        ({"image": picture(shape=(1, 3, 8, 9))}, "shape"),
        ({"image": picture().astype(np.float64)}, "float64"),
        ({"image": None}, "NoneType"),
    ],
)
def test_wrong_inputs_are_named(engine: paddle.Paddle, feeds: dict[str, object], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        engine.run(feeds)  # type: ignore[arg-type]
    engine.run({"image": picture()})


def test_lines_in_one_run_are_read_as_each_alone(exported: Path, tmp_path: Path) -> None:
    folder = exported / "ppocr_rec_ch_v2"
    model, params = folder / "inference.pdmodel", folder / "inference.pdiparams"
    files = ModelFiles(kind="combined", model=str(model), params=str(params))
    engine = paddle.load(Network(files, (320, 32), batch=3), options(tmp_path))
    assert engine.batch == 3
    lines = np.random.default_rng(0).standard_normal((3, 3, 32, 320)).astype(np.float32)
    alone: List[Any] = [engine.run({"x": line[np.newaxis]})[0] for line in lines]
    together: Any = engine.run({"x": lines})[0]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)
    for count in (0, 4):
        with pytest.raises(EngineError, match=rf"not \[{count}, 3, 32, 320\]"):
            engine.run({"x": np.zeros((count, 3, 32, 320), np.float32)})


def at_two_sizes(files: ModelFiles, folder: Path, name: str, height: int) -> None:
    """Loads them for two widths, lets go of the first, and asks the second."""
    picture = np.random.default_rng(1).standard_normal((1, 3, height, 96)).astype(np.float32)
    alone: Any = paddle.load(Network(files, (96, height)), options(folder)).run({name: picture})[0]
    first = paddle.load(Network(files, (64, height)), options(folder))
    second = paddle.load(Network(files, (96, height)), options(folder))
    for _ in range(2):
        first.run({name: np.ascontiguousarray(picture[..., :64])})
        np.testing.assert_array_equal(second.run({name: picture})[0], alone)
    del first
    gc.collect()
    np.testing.assert_array_equal(second.run({name: picture})[0], alone)


def test_one_network_at_two_sizes(exported: Path, tmp_path: Path) -> None:
    for part, height in (("ppocr_rec_ch_v2", 32), ("ppocr_det_en_v3", 64)):
        folder = exported / part
        model, params = folder / "inference.pdmodel", folder / "inference.pdiparams"
        at_two_sizes(ModelFiles("combined", str(model), str(params)), tmp_path, "x", height)


def test_infinite_outputs_are_an_error(engine: paddle.Paddle) -> None:
    with pytest.raises(BadOutput, match="NaN or infinite"):
        engine.run({"image": picture(np.inf)})


def test_another_thread_is_refused(engine: paddle.Paddle) -> None:
    errors: List[BaseException] = []

    def run() -> None:
        try:
            engine.run({"image": picture()})
        except EngineError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "thread" in str(errors[0])


def test_an_nb_is_for_paddle_lite(tmp_path: Path) -> None:
    network = network_of(ModelFiles(kind="nb", model=str(tmp_path / "x.nb")))
    with pytest.raises(EngineError, match="Paddle Lite only"):
        paddle.load(network, options(tmp_path))


@pytest.mark.parametrize(("suffix", "said"), [("pdiparams", "tensor"), ("pdmodel", "cut short")])
def test_a_file_cut_short_is_named_in_a_sentence(
    picodet: ModelFiles, copied: Copier, tmp_path: Path, suffix: str, said: str
) -> None:
    files = copied(picodet)
    (broken,) = Path(files.model).parent.glob(f"*.{suffix}")
    broken.write_bytes(broken.read_bytes()[:20000])
    with pytest.raises(EngineError, match=said) as error:
        paddle.load(network_of(files, (320, 320)), options(tmp_path))
    assert "\n" not in str(error.value)


def test_a_parameter_out_of_the_folder_is_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write_program(folder / "__model__", [], params=["/dev/zero"])
    with pytest.raises(EngineError, match="/dev/zero leads out of the model's folder"):
        paddle.load(network_of(ModelFiles("separate", str(folder))), options(tmp_path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no-such"):
        paddle.load(network_of(combined(tmp_path / "no-such")), options(tmp_path))


EXPORT_PIR = """
import sys, paddle
ones = paddle.ParamAttr(initializer=paddle.nn.initializer.Constant(1.0))
network = paddle.nn.Conv2D(3, 4, 1, weight_attr=ones)
image = paddle.static.InputSpec([1, 3, 8, 8], name="image")
paddle.jit.save(paddle.jit.to_static(network, input_spec=[image]), sys.argv[1])
"""


def test_a_pir_program_is_taken(tmp_path: Path) -> None:
    exported = run_python(EXPORT_PIR, tmp_path / "inference")
    model, params = tmp_path / "inference.json", tmp_path / "inference.pdiparams"
    assert model.exists(), exported.stderr
    network = network_of(ModelFiles(kind="combined", model=str(model), params=str(params)))
    engine = paddle.load(network, options(tmp_path / "cache", engine="paddle"))
    output: Any = engine.run({"image": picture(0.5)})[0]
    np.testing.assert_allclose(output, np.full((1, 4, 8, 8), 1.5), rtol=1e-6)


def test_a_pir_program_at_two_sizes(tmp_path: Path) -> None:
    free = EXPORT_PIR.replace("[1, 3, 8, 8]", "[1, 3, -1, -1]")
    exported = run_python(free, tmp_path / "inference")
    model, params = tmp_path / "inference.json", tmp_path / "inference.pdiparams"
    assert model.exists(), exported.stderr
    at_two_sizes(ModelFiles("combined", str(model), str(params)), tmp_path, "image", 8)


def test_without_the_library_it_says_how_to_install_it() -> None:
    code = "import sys; sys.modules['paddle'] = None\n"
    code += "from edged.worker.engines import paddle; paddle.library()"
    done = run_python(code)
    assert "pip install 'edged[paddle]'" in done.stderr


def test_a_size_that_the_program_is_not_made_for_is_refused(tmp_path: Path) -> None:
    path = write_program(tmp_path / "model", [Op("scale", "image", "out", TWICE)])
    with pytest.raises(EngineError, match="is made for the shape"):
        paddle.load(network_of(combined(path), (16, 16)), options(tmp_path))
