"""One version of a model in the place of another, while it is asked."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Any, List, Tuple

import pytest

from tests.daemon.contract import Connection
from tests.daemon.live.conftest import (
    MODELS,
    Make,
    change,
    ledger,
    put,
    relabel,
    served,
)
from tests.daemon.processes import stopped
from tests.daemon.test_listen import programs
from tests.daemon.workers.conftest import (
    MID,
    Serve,
    add_model,
    ask,
    ask_at_once,
    code_of,
    end,
    free_port,
    picture,
    worker_of,
    zygote_of,
)
from tests.support import RunningDaemon, alive, wait_for

_RELOADS, _REQUESTS, _CLIENTS = 50, 5000, 4


class Client(threading.Thread):
    """Asks for red pictures on one connection; keeps which versions answered, and how many
    reloads had been done before it asked and when it was answered.
    """

    def __init__(self, daemon: RunningDaemon, done: List[int], enough: threading.Event) -> None:
        super().__init__()
        self._daemon, self._done, self._enough = daemon, done, enough
        self.answers: List[Tuple[int, List[str], int]] = []
        self.errors: List[Any] = []

    def run(self) -> None:
        image = picture("red")
        with Connection(self._daemon) as connection:
            while not (self._enough.is_set() and len(self.answers) >= _REQUESTS // _CLIENTS):
                before = self._done[0]
                answer = connection.post(f"/api/model/service/binary?mid={MID}", image)
                if answer.status != 200:
                    self.errors.append(answer)
                    return
                labels = [result["label"] for result in answer.json["data"]["result"]]
                self.answers.append((before, labels, self._done[0]))


def test_5000_requests_while_it_is_reloaded_50_times(serve: Serve, models: Path) -> None:
    """None fails, and each is answered by exactly one version, one that was served meanwhile."""
    daemon = serve(models, model_changes="open", log_level="info")
    done, enough = [0], threading.Event()
    clients = [Client(daemon, done, enough) for _ in range(_CLIENTS)]
    for client in clients:
        client.start()
    try:
        for number in range(1, _RELOADS + 1):
            relabel(models / "colour", str(number))
            answer = change(daemon, "reload")
            assert answer.status == 200, answer
            done[0] = number
    finally:
        enough.set()
        for client in clients:
            client.join()
    assert [client.errors for client in clients] == [[]] * _CLIENTS
    answers = [answer for client in clients for answer in client.answers]
    assert len(answers) >= _REQUESTS
    seen = set()
    for before, labels, after in answers:
        (version,) = {int(label.rpartition("-")[2]) for label in labels}
        assert len(labels) == 3
        # It is swapped in a moment before the reload is answered.
        assert before <= version <= after + 1
        seen.add(version)
    assert len(seen) > _RELOADS / 2
    assert served(daemon) == str(_RELOADS)
    wait_for(lambda: len(daemon.children()) == 2)  # the fork server and one worker
    assert len(list((models.parent / "state" / "versions").iterdir())) <= 4


def test_what_was_asked_before_is_answered_by_the_old_one(
    serve: Serve, models: Path, version: Make
) -> None:
    daemon = serve(models, model_changes="open")
    old = worker_of(daemon)
    with stopped(old):
        asked = ask(daemon, picture("red"))
        assert put(daemon, version("1")).status == 200
        assert served(daemon) == "1"
        assert alive(old)
    assert asked.answer().json["data"]["result"][0]["label"] == "red-0"
    wait_for(lambda: not alive(old))


def test_an_old_one_that_dies_with_a_request_is_replaced_until_it_is_answered(
    serve: Serve, models: Path, version: Make
) -> None:
    """From its own files: the model's folder holds others by then."""
    daemon = serve(models)
    old = worker_of(daemon)
    with stopped(old):
        asked = ask(daemon, picture("red"))
        relabel(models / "colour", "1")
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: daemon.model(MID)["labels"][0] == "red-1")
        os.kill(old, signal.SIGKILL)
    assert asked.answer().json["data"]["result"][0]["label"] == "red-0"


def test_a_reload_of_what_has_not_changed_does_nothing(serve: Serve, models: Path) -> None:
    daemon = serve(models, model_changes="open")
    before = worker_of(daemon)
    os.utime(models / "colour" / "model.yaml")
    assert change(daemon, "reload").status == 200
    assert worker_of(daemon) == before
    (record,) = ledger(models.parent)
    assert record["previous"] is None


@pytest.mark.parametrize("sample", ["green", "blue"])
def test_one_that_fails_its_sample_changes_nothing(
    serve: Serve, models: Path, version: Make, sample: str
) -> None:
    daemon = serve(models, model_changes="open")
    before = worker_of(daemon)
    answer = put(daemon, version("1", sample=sample))
    assert (answer.status, code_of(answer)) == (400, 2005)
    assert "sample.json" in answer.json["msg"]
    assert (worker_of(daemon), served(daemon)) == (before, "0")
    (record,) = ledger(models.parent)
    assert record["previous"] is None
    end(daemon)
    assert served(serve(models)) == "0"


def test_a_second_change_of_the_model_meanwhile(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open")
    answers: List[int] = []
    thread = threading.Thread(target=lambda: answers.append(put(daemon, version("1")).status))
    other = version("2")
    with stopped(zygote_of(daemon)):
        thread.start()
        wait_for(lambda: len(list((models.parent / "state/versions").glob("*/model.yaml"))) == 2)
        busy = put(daemon, other)
        assert (busy.status, code_of(busy)) == (409, 336100)
        assert "retry-after" in busy.headers
        assert served(daemon) == "0"
    thread.join()
    assert (answers, served(daemon)) == ([200], "1")


def test_a_model_more_gets_its_share_of_the_machine(
    serve: Serve, models: Path, version: Make
) -> None:
    """Not all of it, as if it were alone: of two cores one."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("there is one core only")
    os.sched_setaffinity(0, sorted(cores)[:2])
    try:
        daemon = serve(models, model_changes="open")
    finally:
        os.sched_setaffinity(0, cores)
    any_number = {"instances: 1\n": ""}
    put(daemon, version("1", yaml=any_number), mid=8, name="hats")
    put(daemon, version("2", yaml=any_number), mid=9, name="caps")
    # The fork server makes one after the other: a second worker of the first would be there now.
    assert len(daemon.model(8)["workers"]) == 1
    change(daemon, "disable", 9)
    change(daemon, "disable", 8)
    change(daemon, "enable", 8)
    change(daemon, "enable", 9)
    assert len(daemon.model(8)["workers"]) == 1


def test_who_asked_for_it_may_leave(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open")
    body = version("1").read_bytes()
    with stopped(zygote_of(daemon)), Connection(daemon) as connection:
        head = f"PUT {MODELS}/{MID} HTTP/1.1\r\nHost: board\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.send(head.encode() + body)
        folder = models.parent / "state" / "versions"
        wait_for(lambda: len(list(folder.glob("*/model.yaml"))) == 2)
    wait_for(lambda: served(daemon) == "1")


def test_an_upload_that_breaks_off_leaves_nothing(serve: Serve, models: Path) -> None:
    daemon = serve(models, model_changes="open")
    state = models.parent / "state"
    before = sorted(path.name for path in state.iterdir())
    with Connection(daemon) as connection:
        connection.send(
            f"PUT {MODELS}/{MID} HTTP/1.1\r\nHost: board\r\nContent-Length: 1000\r\n\r\nPK".encode()
        )
        assert not connection.readable(0.2)
    assert served(daemon) == "0"
    assert sorted(path.name for path in state.iterdir()) == before


def test_stopping_during_an_installation(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open", deadline=1)
    path = version("1")
    outcome: List[int] = []

    def send() -> None:
        try:
            outcome.append(put(daemon, path).status)
        except OSError:
            outcome.append(0)

    thread = threading.Thread(target=send)
    with stopped(zygote_of(daemon)):
        thread.start()
        wait_for(lambda: len(list((models.parent / "state/versions").glob("*/model.yaml"))) == 2)
        end(daemon)
    thread.join()
    assert outcome in ([0], [503])
    again = serve(models)
    assert served(again) == "0"
    assert len(list((models.parent / "state" / "versions").glob("*/model.yaml"))) == 1


def test_a_model_that_is_removed_is_gone_for_good(serve: Serve, models: Path) -> None:
    daemon = serve(models, model_changes="open")
    worker = worker_of(daemon)
    assert daemon.request("DELETE", f"{MODELS}/{MID}").status == 200
    assert code_of(ask_at_once(daemon, picture("red"))) == 2002
    wait_for(lambda: not alive(worker))
    assert list(models.iterdir()) == []
    wait_for(lambda: not list((models.parent / "state" / "versions").glob("*/model.yaml")))
    assert ledger(models.parent) == []
    end(daemon)
    assert serve(models).request("GET", MODELS).json["data"] == []


def test_the_mid_of_one_that_is_removed_is_not_given_to_another(
    serve: Serve, models: Path, version: Make
) -> None:
    add_model(models, mid=0, name="zero")
    daemon = serve(models, model_changes="open")
    assert daemon.request("DELETE", f"{MODELS}/0").status == 200
    added = daemon.post(f"{MODELS}?folder=caps", version("1").read_bytes())
    assert added.json["data"]["mid"] == 1
    assert code_of(ask_at_once(daemon, picture("red"), 0)) == 2002
    assert put(daemon, version("2"), mid=0, name="back").status == 200
    assert served(daemon, 0) == "2"


@pytest.mark.parametrize("what", ["put", "disable", "rollback", "remove"])
def test_what_cannot_be_written_down_is_not_done(
    serve: Serve, models: Path, version: Make, what: str
) -> None:
    """A folder that holds the lock's place stands in for a disk that takes nothing."""
    daemon = serve(models, model_changes="open")
    assert put(daemon, version("1")).status == 200
    lock = models.parent / "state" / "models.lock"
    lock.unlink()
    lock.mkdir()
    before = worker_of(daemon)
    if what == "put":
        answer = put(daemon, version("2"))
    elif what == "remove":
        answer = daemon.request("DELETE", f"{MODELS}/{MID}")
    else:
        answer = change(daemon, what)
    assert (answer.status, code_of(answer)) == (507, 336000)
    assert (worker_of(daemon), served(daemon)) == (before, "1")
    assert sorted(path.name for path in models.iterdir()) == ["colour"]
    end(daemon)
    lock.rmdir()
    assert served(serve(models)) == "1"


def test_disabled_until_it_is_enabled_a_restart_between(serve: Serve, models: Path) -> None:
    daemon = serve(models, model_changes="open")
    worker = worker_of(daemon)
    assert change(daemon, "disable").json["data"]["state"] == "disabled"
    refused = ask_at_once(daemon, picture("red"))
    assert (refused.status, code_of(refused)) == (503, 336100)
    assert "disabled" in refused.json["msg"]
    wait_for(lambda: not alive(worker))
    end(daemon)
    again = serve(models, model_changes="open")
    assert (again.model(MID)["state"], again.model(MID)["workers"]) == ("disabled", [])
    assert change(again, "enable").json["data"]["state"] == "ready"
    assert served(again) == "0"
    end(again)
    assert served(serve(models)) == "0"


def test_one_that_is_changed_while_it_loads(serve: Serve, models: Path) -> None:
    """The start ends all the same, with what is left to be served."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    daemon = serve(models, wait=False, listen=address, model_changes="open")
    daemon.port = port
    (fork_server,) = wait_for(lambda: programs(daemon))  # until it is, the daemon waits for it
    with stopped(fork_server):
        wait_for(lambda: state_of(daemon) == "loading")
        assert change(daemon, "disable").json["data"]["state"] == "disabled"
        daemon.wait_loaded()
    assert change(daemon, "enable").json["data"]["state"] == "ready"
    assert served(daemon) == "0"


def state_of(daemon: RunningDaemon) -> str:
    """Of the model; empty as long as nobody answers."""
    with contextlib.suppress(ConnectionError):
        return str(daemon.model(MID)["state"])
    return ""


def test_the_one_before_and_back_again(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open")
    nothing = change(daemon, "rollback")
    assert (nothing.status, code_of(nothing)) == (409, 336001)
    put(daemon, version("1"))
    put(daemon, version("2"))
    assert change(daemon, "rollback").status == 200
    assert served(daemon) == "1"
    end(daemon)
    again = serve(models, model_changes="open")
    assert served(again) == "1"
    assert change(again, "rollback").status == 200
    assert served(again) == "2"


def test_a_new_model_and_what_is_told_of_it(serve: Serve, models: Path, version: Make) -> None:
    daemon = serve(models, model_changes="open")
    assert put(daemon, version("1"), mid=12, name="hats").status == 200
    assert (served(daemon, 12), served(daemon)) == ("1", "0")
    told = daemon.request("GET", f"{MODELS}/12").json["data"]
    assert (told["mid"], told["name"], told["state"]) == (12, "hats", "ready")
    clash = put(daemon, version("2"), mid=13, name="hats")
    assert (clash.status, code_of(clash)) == (400, 2005)
    added = daemon.post(f"{MODELS}?folder=caps", version("3").read_bytes())
    assert added.json["data"]["name"] == "caps"
    end(daemon)
    again = serve(models)
    assert served(again, 12) == "1"
    assert served(again, added.json["data"]["mid"]) == "3"
    assert sorted(path.name for path in models.iterdir()) == ["colour"]
