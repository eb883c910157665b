"""Models that do not load, or do not work: failed with the reason, and the others serve."""

from __future__ import annotations

import os
import re
import signal
from datetime import datetime
from pathlib import Path
from typing import List

import pytest

from edged.registry.spec import ModelFiles
from tests.daemon.processes import stopped
from tests.daemon.workers.conftest import (
    MID,
    Serve,
    add_model,
    ask,
    ask_at_once,
    code_of,
    colour_of,
    counters_of,
    end,
    free_port,
    needs_lite,
    needs_lites_memory,
    next_worker,
    no_new_worker,
    picture,
    poison_of,
    worker_of,
)
from tests.support import alive, wait_for
from tests.worker.engines.conftest import Op, Tensor, converted, network_of, write_program

BAD = 8


def add_crashing_model(models: Path, tmp_path: Path) -> None:
    """One that looks well until the engine opens it: it has an operator that there is not."""
    folder = add_model(models, BAD, "bad")
    files = ModelFiles("combined", str(folder / "model"), str(folder / "params"))
    content = Path(converted(network_of(files, (1, 1)), tmp_path / "cache")).read_bytes()
    (folder / "model.nb").write_bytes(content.replace(b"sqrt", b"sqrx"))
    text = (folder / "model.yaml").read_text()
    text = text.replace("model: model\nparams: params\n", "model: model.nb\n")
    (folder / "model.yaml").write_text(text)


def times(log: str, words: str) -> List[float]:
    """When the lines with `words` were logged, in seconds."""
    found = re.findall(rf"^(\S+ \S+) .*{words}", log, re.MULTILINE)
    return [datetime.strptime(time, "%Y-%m-%d %H:%M:%S,%f").timestamp() for time in found]


@needs_lite
def test_one_that_dies_at_every_load(serve: Serve, colours: Path, tmp_path: Path) -> None:
    add_crashing_model(colours, tmp_path)
    daemon = serve(colours)
    bad = daemon.model(BAD)
    assert bad["state"] == "failed"
    assert "again and again" in bad["reason"]
    assert "SIGABRT" in bad["reason"]
    assert "sqrx" in bad["reason"]  # the engine's last words
    assert bad["workers"] == []
    deaths = times(daemon.log(), "bad: lost worker")
    pauses = [after - before for before, after in zip(deaths, deaths[1:])]
    assert len(deaths) == 5
    assert [pause > least for pause, least in zip(pauses, (0.2, 1, 3, 3))] == [True] * 4

    answer = ask_at_once(daemon, picture("red"), BAD)
    assert (answer.status, code_of(answer)) == (503, 336100)
    assert "again and again" in answer.json["msg"]
    assert "retry-after" in answer.headers
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"
    ready = daemon.request("GET", "/readyz")
    assert (ready.status, ready.json["failed"]) == (200, ["bad"])


@needs_lite
def test_what_one_engine_dies_of_another_may_serve(serve: Serve, tmp_path: Path) -> None:
    pytest.importorskip("paddle", reason="Paddle Inference is not installed")
    folder = add_model(tmp_path / "models")
    pixel = (1, 3, 1, 1)
    to_float64 = Op("cast", "image", "out", (("in_dtype", 5), ("out_dtype", 6)))
    outputs = [Tensor("out", pixel, "float64")]
    write_program(folder / "model", [to_float64], [Tensor("image", pixel)], outputs)
    daemon = serve(tmp_path / "models")
    assert "paddlelite does not serve it: its process dies" in daemon.log()
    model = daemon.model(MID)
    assert (model["state"], model["engine"]) == ("ready", "paddle")
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"


@pytest.mark.parametrize("at_import", ["raise RuntimeError('too old')", "import os; os.abort()"])
def test_an_engine_that_cannot_be_imported_fails_its_models_only(
    serve: Serve, tmp_path: Path, at_import: str
) -> None:
    """As where the processor lacks what a library was compiled for."""
    pytest.importorskip("paddlelite", reason="Paddle Lite, for the other, is not installed")
    library = tmp_path / "libraries" / "paddle"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(at_import)
    with open(add_model(tmp_path / "models", BAD, "bad") / "model.yaml", "a") as description:
        description.write("engine: paddle\n")
    add_model(tmp_path / "models", MID)
    daemon = serve(tmp_path / "models", libraries=library.parent)
    bad = daemon.model(BAD)
    assert (bad["state"], bad["workers"]) == ("failed", [])
    assert "too old" in bad["reason"] or "SIGABRT" in bad["reason"]
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"


@needs_lite
def test_the_others_serve_meanwhile(serve: Serve, colours: Path, tmp_path: Path) -> None:
    """And a daemon that is stopped in the pause before a restart stops at once."""
    add_crashing_model(colours, tmp_path)
    port = free_port()
    daemon = serve(colours, wait=False, listen=f"127.0.0.1:{port}")
    daemon.port = port
    wait_for(lambda: len(times(daemon.log(), "bad: lost worker")) == 3)
    assert daemon.request("GET", "/readyz").status == 503
    assert daemon.model(BAD)["state"] == "loading"
    answer = ask_at_once(daemon, picture("red"), BAD)
    assert (answer.status, code_of(answer)) == (503, 336100)
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"
    end(daemon)


def test_a_sample_that_disagrees(serve: Serve, tmp_path: Path) -> None:
    models = tmp_path / "models"
    add_model(models)
    add_model(models, 8, "liar", sample="blue")
    add_model(models, 9, "honest", sample="red")
    (models / "notes").mkdir()
    daemon = serve(models)
    assert daemon.model(9)["state"] == "ready"
    liar = daemon.model(8)
    assert (liar["state"], liar["workers"]) == ("failed", [])
    assert "sample" in liar["reason"]
    ready = daemon.request("GET", "/readyz")
    assert ready.status == 200
    assert sorted(ready.json["failed"]) == ["liar", "notes"]
    assert counters_of(daemon, 9)["answered"] == 0  # a sample is no request


def test_one_that_is_killed_while_it_loads(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    pid = worker_of(daemon)
    with no_new_worker(daemon, colours / "colour"):
        os.kill(pid, signal.SIGKILL)
        next_worker(daemon, pid)
        asked = ask(daemon, picture("red"))
        assert counters_of(daemon)["queued"] == 1
    assert colour_of(asked.answer()) == "red"
    assert daemon.model(MID)["state"] == "ready"


def test_the_daemon_is_stopped_while_a_worker_loads(serve: Serve, colours: Path) -> None:
    daemon = serve(colours, deadline=1)
    pid = worker_of(daemon)
    with no_new_worker(daemon, colours / "colour"):
        os.kill(pid, signal.SIGKILL)
        loading = next_worker(daemon, pid)
        asked = ask(daemon, picture("red"))
        daemon.process.send_signal(signal.SIGTERM)
        answer = asked.answer()
        assert (answer.status, code_of(answer)) == (504, 336101)
        assert daemon.process.wait(10) == 0
        wait_for(lambda: not alive(loading), 3)


def test_one_that_only_fails_is_replaced(serve: Serve, colours: Path) -> None:
    daemon = serve(colours)
    pid = worker_of(daemon)

    def fail(times: int) -> None:
        for number in range(times):
            answer = ask_at_once(daemon, picture("dark", number))
            assert (answer.status, code_of(answer)) == (500, 336000)
            assert "NaN" in answer.json["msg"]

    fail(7)
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"
    fail(7)
    assert ask_at_once(daemon, b"no picture").status == 400
    assert worker_of(daemon) == pid
    fail(1)
    wait_for(lambda: not alive(pid))
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"
    assert worker_of(daemon) != pid
    assert counters_of(daemon)["restarts"] == 1


@needs_lites_memory
def test_one_that_grows_is_replaced(serve: Serve, colours: Path, tmp_path: Path) -> None:
    """Decoded, a picture is larger than memory_mib; smaller than twice that."""
    daemon = serve(colours, memory_mib=64)
    pid = worker_of(daemon)
    with stopped(pid):
        asked = [ask(daemon, picture("green", 0, 4800, 5000))]
        asked += [ask(daemon, picture("green", number)) for number in range(6)]
    assert [colour_of(one.answer()) for one in asked] == ["green"] * 7
    wait_for(lambda: not alive(pid))
    assert counters_of(daemon)["failed"] == 0
    assert "lost worker" not in daemon.log()


@needs_lites_memory
def test_two_that_do_not_fit_together(serve: Serve, colours: Path, tmp_path: Path) -> None:
    """Each for itself fits into twice memory_mib: neither is blamed, and both are answered."""
    daemon = serve(colours, memory_mib=64)
    pid = worker_of(daemon)
    large = picture("green", 0, 4800, 5000)
    with stopped(pid):
        asked = [ask(daemon, large), ask(daemon, large)]
    assert [colour_of(one.answer()) for one in asked] == ["green"] * 2
    assert poison_of(tmp_path) == []
