"""The commands as a person or a program calls them: real processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import msgspec
import pytest

from edged import model_check
from edged.registry.entry import look
from edged.registry.spec import ModelFiles
from edged.worker.engines import nb
from tests.registry.packing import pack_folder
from tests.support import DEMO_MODELS, LITE, ROOT, RunningDaemon, wait_for
from tests.worker.engines.conftest import Op, Tensor, write_program

DIGITS = DEMO_MODELS / "digits"
needs_paddle_lite = pytest.mark.skipif(not LITE, reason="Paddle Lite, which converts, is not here")


def edged(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edged", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def results(output: str) -> List[Any]:
    found: List[Any] = json.loads(output)["result"]
    return found


def test_predict_prints_a_table_for_people(models: Path, state: Path) -> None:
    done = edged(
        "predict", DIGITS / "sample.jpg", "--mid=1", f"--models={models}", f"--state={state}"
    )
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["label", "score", "left", "top", "width", "height"]
    assert rows


def test_predict_in_process_and_through_a_daemon_agree(
    models: Path, state: Path, daemon: RunningDaemon, tmp_path: Path
) -> None:
    shown = tmp_path / "shown.jpg"
    common = ["predict", DIGITS / "sample.jpg", "--mid=1", "--json"]
    here = edged(*common, f"--models={models}", f"--state={state}")
    there = edged(*common, f"--url={daemon.url}", f"--show={shown}")
    assert here.returncode == there.returncode == 0, here.stderr + there.stderr
    assert results(here.stdout) == results(there.stdout) != []
    assert shown.read_bytes()[:2] == b"\xff\xd8"


def test_the_sample_of_a_demo_model_is_what_predict_prints(models: Path, state: Path) -> None:
    done = edged(
        "predict",
        DIGITS / "sample.jpg",
        "--mid=1",
        "--json",
        f"--models={models}",
        f"--state={state}",
    )
    golden = json.loads((DIGITS / "sample.json").read_text())["result"]
    assert [found["label"] for found in results(done.stdout)] == [
        found["label"] for found in golden
    ]


def test_models_list_shows_what_can_be_served_and_what_cannot(tmp_path: Path) -> None:
    (tmp_path / "models" / "7-nothing").mkdir(parents=True)
    done = edged("models", "list", f"--models={tmp_path / 'models'}", f"--state={tmp_path}")
    assert done.returncode == 0
    assert "nothing" in done.stdout
    done = edged("models", "list", "--json", f"--models={DEMO_MODELS}", f"--state={tmp_path}")
    assert [entry["mid"] for entry in json.loads(done.stdout)] == [1, 2, 3]


def test_models_check_says_that_a_demo_model_can_be_served(state: Path) -> None:
    done = edged("models", "check", DIGITS, f"--state={state}")
    assert done.returncode == 0, done.stderr
    assert "can be served; its sample agrees" in done.stdout


def test_models_check_takes_a_zip_and_leaves_nothing_of_it(tmp_path: Path, state: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    archive = pack_folder(tmp_path / "7-numbers.zip", DIGITS, "digits/")
    check = ["models", "check", archive, f"--state={state}"]
    done = edged(*check, TMPDIR=str(scratch))
    assert done.returncode == 0, done.stderr
    assert "can be served; its sample agrees" in done.stdout
    archive.write_bytes(b"PK")
    done = edged(*check, "--json", TMPDIR=str(scratch))
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert (answer["entry"]["mid"], answer["entry"]["name"]) == (7, "numbers")
    assert "it is no zip" in answer["reason"]
    assert list(scratch.iterdir()) == []


def test_models_check_says_why_not(fixtures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "5-arm"
    folder.mkdir()
    nb = fixtures / "models" / "wrong_target" / "picodet_xs_320_coco_arm.nb"
    (folder / "x.nb").write_bytes(nb.read_bytes())
    (folder / "model.yaml").write_text(
        "task: detection\nmodel: x.nb\npreprocess:\n- {op: resize, width: 320, height: 320}\n"
    )
    done = edged("models", "check", folder, f"--state={tmp_path}", "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["servable"] is False
    assert ("ARM" if LITE else "Paddle Lite is not usable") in answer["reason"]


def test_models_check_of_a_broken_sample(tmp_path: Path) -> None:
    shutil.copytree(DIGITS, tmp_path / "digits")
    (tmp_path / "digits" / "sample.json").write_text("{")
    done = edged("models", "check", tmp_path / "digits", f"--state={tmp_path}")
    assert (done.returncode, done.stderr) == (1, "")
    assert "cannot be served here: sample.json is not a golden answer" in done.stdout


@pytest.mark.parametrize(
    ("model", "engines"),
    [("inference.pdmodel", "paddlelite or paddle"), ("inference.json", "paddle")],
)
def test_models_check_says_which_engines_read_it(tmp_path: Path, model: str, engines: str) -> None:
    folder = tmp_path / "helmets"
    folder.mkdir()
    (folder / model).write_text("{}")
    (folder / "inference.pdiparams").touch()
    (folder / "model.yaml").write_text(
        f"task: detection\nmodel: {model}\nparams: inference.pdiparams\n"
        "preprocess:\n- {op: resize, width: 320, height: 320}\n"
    )
    entry = look(folder)
    lines = [" ".join(line.split()) for line in model_check.report(entry, [None])]
    assert f"made for any machine with {engines}" in lines


def test_models_check_says_what_it_recognised(fixtures: Path, state: Path) -> None:
    folder, photo = fixtures / "models" / "pphumanseg_lite_192", fixtures / "photos" / "bus.jpg"
    done = edged("models", "check", folder, f"--image={photo}", f"--state={state}")
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "pphumanseg_lite_192: segmentation, input 192x192, from PaddleSeg"
    assert "network model.pdmodel, model.pdiparams" in lines
    assert "inputs x [1, 3, 192, 192]" in lines
    assert any(line.startswith("outputs ") and "[1, 2, 192, 192]" in line for line in lines)
    assert "labels none: classes are numbers" in lines
    assert "step 1 to_float" in lines
    assert "step 2 resize width 192, height 192, interp linear" in lines
    assert any(line.startswith("step 3 normalize color RGB") for line in lines)
    assert lines[-1].startswith("1 0.")  # the person in the picture


def test_models_check_as_json_has_all_of_it(fixtures: Path, state: Path) -> None:
    folder, photo = fixtures / "models" / "pphumanseg_lite_192", fixtures / "photos" / "bus.jpg"
    done = edged("models", "check", folder, "--json", f"--image={photo}", f"--state={state}")
    answer = json.loads(done.stdout)
    assert answer["servable"] is True
    (network,) = answer["networks"]
    assert network["inputs"] == {"x": [1, 3, 192, 192]}
    assert answer["result"][0]["extended"]["mask"]["size"] == [1080, 810]


@needs_paddle_lite
def test_models_convert_makes_a_folder_for_a_board(fixtures: Path, tmp_path: Path) -> None:
    state, photo = f"--state={tmp_path / 'state'}", fixtures / "photos" / "bus.jpg"
    source = fixtures / "models" / "picodet_xs_320_coco"
    for target in ("x86", "arm"):
        out = tmp_path / target
        done = edged("models", "convert", source, f"--target={target}", f"--out={out}", state)
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in out.iterdir()) == ["model.nb", "model.yaml"]
    seen = [
        results(edged("models", "check", folder, "--json", f"--image={photo}", state).stdout)
        for folder in (source, tmp_path / "x86")
    ]
    assert seen[0] == seen[1] != []
    checked = edged("models", "check", tmp_path / "arm", state)
    assert checked.returncode == 1
    assert "made for   ARM (fp32, any)" in checked.stdout
    assert "model.nb is made for ARM, this machine is x86-64" in checked.stdout


@needs_paddle_lite
def test_models_convert_keeps_the_sample_and_the_number(tmp_path: Path) -> None:
    done = edged(
        "models", "convert", DIGITS, "--target=x86", f"--out={tmp_path}/out", f"--state={tmp_path}"
    )
    assert done.returncode == 0, done.stderr
    checked = edged("models", "check", f"{tmp_path}/out", "--json", f"--state={tmp_path}")
    answer = json.loads(checked.stdout)
    assert answer["entry"]["mid"] == 1
    assert answer["servable"] is True
    assert answer["result"]


@pytest.mark.parametrize("out", ["digits", "digits/board", "link", "full"])
def test_models_convert_writes_over_nothing(tmp_path: Path, out: str) -> None:
    """Nor is an old part, such as `cls` of an OCR model, taken into the new one."""
    source, full = tmp_path / "digits", tmp_path / "full"
    shutil.copytree(DIGITS, source)
    (tmp_path / "link").symlink_to(source)
    (full / "cls").mkdir(parents=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    to = ["--target=x86", f"--out={tmp_path / out}", f"--state={tmp_path / 'state'}"]
    done = edged("models", "convert", source, *to)
    assert done.returncode == 1
    said = "is not empty" if out == "full" else "is in the model's own folder"
    assert f"{tmp_path / out} {said}" in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@needs_paddle_lite
def test_models_convert_says_why_not(fixtures: Path, tmp_path: Path) -> None:
    networks = fixtures / "models" / "wrong_target"
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "x.nb").write_bytes((networks / "picodet_xs_320_coco_arm.nb").read_bytes())
    (folder / "model.yaml").write_text(
        "task: detection\nmodel: x.nb\npreprocess:\n- {op: resize, width: 320, height: 320}\n"
    )
    to = ["--target=arm", f"--out={tmp_path}/out", f"--state={tmp_path}"]
    done = edged("models", "convert", folder, *to)
    assert (done.returncode, done.stderr) == (1, "edged: x.nb is converted already\n")
    (folder / "model.yaml").write_text(
        "task: detection\nmodel: x.json\nparams: x.nb\n"
        "preprocess:\n- {op: resize, width: 320, height: 320}\n"
    )
    (folder / "x.json").write_text("{}")
    done = edged("models", "convert", folder, *to)
    assert done.returncode == 1
    assert "re-export with FLAGS_enable_pir_api=0" in done.stderr


def test_a_model_that_reads_text_is_checked_network_by_network(
    text_models: Path, fixtures: Path, state: Path
) -> None:
    folder, photo = text_models / "5-text", fixtures / "photos" / "hello_rendered.png"
    done = edged("models", "check", folder, f"--image={photo}", f"--state={state}")
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "text: ocr, input any, from PaddleOCR"
    for part in ("det", "rec", "cls"):
        assert f"network {part}/inference.pdmodel, {part}/inference.pdiparams" in lines
    assert "inputs x [-1, 3, 32, -1]" in lines
    assert "letters 6623" in lines
    assert "hello" in lines[-1].lower()
    listed = edged("models", "list", f"--models={text_models}", f"--state={state}")
    assert listed.stdout.splitlines()[1].split() == ["5", "text", "ocr", "any", "PaddleOCR", "ok"]


@needs_paddle_lite
def test_a_model_that_reads_text_is_converted_network_by_network(
    text_models: Path, fixtures: Path, tmp_path: Path
) -> None:
    """What is set for the source holds for the board's: an .nb says nothing itself."""
    source, out = tmp_path / "5-text", tmp_path / "out"
    shutil.copytree(text_models / "5-text", source)
    (source / "model.yaml").write_text("name: signs\nthreshold: 0.7\nthreads: 2\n")
    (source / "det" / "inference.yml").write_text("PostProcess: {thresh: 0.25, box_thresh: 0.5}")
    (source / "sample.jpg").write_bytes((fixtures / "photos" / "ocr_fd.jpg").read_bytes())
    done = edged("models", "convert", source, "--target=arm", f"--out={out}", f"--state={tmp_path}")
    assert done.returncode == 0, done.stderr
    for part in ("det", "rec", "cls"):
        assert nb.read(str(out / part / "model.nb")).targets == ("ARM",)
    assert (out / "sample.jpg").is_file()
    before, after = look(source).spec, look(out).spec
    assert before is not None
    assert before.reading is not None
    assert after is not None
    assert after.reading is not None
    assert after.reading.line_height == 32
    for part, files in zip(("det", "rec", "cls"), after.networks):
        assert files == ModelFiles("nb", str(out / part / "model.nb"))
    moved = msgspec.structs.replace(
        after.reading,
        recognition=before.reading.recognition,
        angle=before.reading.angle,
        line_height=None,
    )
    assert before == msgspec.structs.replace(
        after, folder=before.folder, files=before.files, reading=moved
    )


@needs_paddle_lite
def test_a_size_that_an_nb_does_not_tell_is_said(tmp_path: Path) -> None:
    for part, shape in (("det", (1, 3, 480, 640)), ("rec", (1, 3, 48, 320))):
        (tmp_path / "text" / part).mkdir(parents=True)
        program = tmp_path / "text" / part / "inference.pdmodel"
        write_program(program, [Op("sqrt", "image", "out")], [Tensor("image", shape)])
        program.with_name("params").rename(program.with_suffix(".pdiparams"))
    (tmp_path / "text" / "rec" / "keys.txt").write_text("a\n")
    to = ["--target=arm", f"--out={tmp_path}/out", f"--state={tmp_path}"]
    done = edged("models", "convert", tmp_path / "text", *to)
    assert done.returncode == 0, done.stderr
    spec = look(tmp_path / "out").spec
    assert spec is not None
    assert spec.reading is not None
    assert spec.reading.page_size == (640, 480)
    assert (spec.reading.line_width, spec.reading.line_height) == (320, 48)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "convert", str(DIGITS), "--target=mips", "--out=/tmp/x"], "mips"),
        (["models", "convert", str(ROOT / "docs"), "--target=arm", "--out=/tmp/x"], "no exporter"),
        (["predict", "/no/such/picture.jpg", "--mid=1"], "does not exist"),
        (["predict", str(DIGITS / "sample.jpg")], "--mid"),
        (["predict", str(DIGITS / "sample.jpg"), "--mid=99", f"--models={DEMO_MODELS}"], "99"),
        (["predict", str(DIGITS / "model.yaml"), "--mid=1", f"--models={DEMO_MODELS}"], "JPEG"),
        (["predict", str(DIGITS / "sample.jpg"), "--mid=1", "--url=http://127.0.0.1:1"], "answer"),
        (
            ["predict", str(DIGITS / "sample.jpg"), "--mid=1", "--show=/no/such/folder/x.jpg"],
            "/no/such/folder/x.jpg",
        ),
        (["serve", "--listen=127.0.0.1:many"], "listen"),
        (["serve", "--models=/no/such/folder"], "/no/such/folder"),
        (["serve", "--prot=1"], "--prot"),
        (["serve", "--config=/no/such/file"], "/no/such/file"),
        (["models", "check", "/no/such/folder"], "does not exist"),
        (["nonsense"], "nonsense"),
    ],
)
def test_a_wrong_use_is_one_clear_line(arguments: List[str], said: str, tmp_path: Path) -> None:
    done = edged(*arguments, EDGED_STATE=str(tmp_path))
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named(daemon: RunningDaemon, models: Path, state: Path) -> None:
    listen = f"--listen=127.0.0.1:{daemon.port}"
    done = edged("serve", listen, f"--models={models}", f"--state={state}")
    assert done.returncode == 1
    assert str(daemon.port) in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_goes_on_when_nobody_reads_the_announcement(models: Path, state: Path) -> None:
    command = [sys.executable, "-m", "edged", "serve", "--listen=127.0.0.1:0"]
    command += [f"--models={models}", f"--state={state}", "--log-level=debug"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stderr is not None
        daemon.stdout.close()
        for line in daemon.stderr:
            if "is ready" in line:
                break
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                daemon.wait(3)
        finally:
            daemon.terminate()


def test_the_curl_line_survives_a_folder_with_a_blank(tmp_path: Path, state: Path) -> None:
    folder = tmp_path / "it's mine"
    shutil.copytree(DIGITS, folder / "digits")
    with RunningDaemon(models=folder, state=state) as daemon:
        # It comes after the line that the daemon is waited for by.
        (line,) = wait_for(lambda: re.findall(r"^ *(curl .*)\n", daemon.log(), re.MULTILINE))
        done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, timeout=60)
    assert json.loads(done.stdout)["code"] == 0
