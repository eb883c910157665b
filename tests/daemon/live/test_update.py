"""EdgeBoard's remote model update: what it takes, and each of its codes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from tests.daemon.access.keyring import bearer, make_key, token_of
from tests.daemon.contract import FORM, form
from tests.daemon.live.conftest import UPDATE, Make, served, update
from tests.daemon.processes import small_files, stopped
from tests.daemon.workers.conftest import MID, Serve, add_model, worker_of, zygote_of
from tests.registry.packing import pack
from tests.support import DEMO_MODELS, Answer, RunningDaemon

SUCCESS = {"errno": 0, "message": "success"}


@pytest.fixture
def daemon(serve: Serve, models: Path) -> RunningDaemon:
    return serve(models, model_changes="open")


def errno(answer: Answer) -> int:
    assert set(answer.json) == {"errno", "message"}
    number: int = answer.json["errno"]
    return number


def test_success(daemon: RunningDaemon, version: Make) -> None:
    answer = update(daemon, version("1").read_bytes())
    assert (answer.status, answer.json) == (200, SUCCESS)
    assert served(daemon) == "1"
    assert daemon.model(MID)["name"] == "colour"


def test_with_a_name(daemon: RunningDaemon, version: Make) -> None:
    assert update(daemon, version("1").read_bytes(), model_name="颜色").json == SUCCESS
    assert (daemon.model(MID)["name"], served(daemon)) == ("颜色", "1")


def test_the_number_in_the_call_holds_not_the_one_in_the_zip(
    daemon: RunningDaemon, version: Make
) -> None:
    path = version("1", yaml={"task: ": "mid: 99\nname: other\ntask: "})
    assert update(daemon, path.read_bytes()).json == SUCCESS
    assert (daemon.model(MID)["name"], served(daemon)) == ("colour", "1")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model_id": None}, 2001),
        ({"model_id": ""}, 2001),
        ({"model_id": "seven"}, 2001),
        ({"model_id": "-7"}, 2001),
        ({"model_id": "8"}, 2002),
        ({"model_id": "9" * 40}, 2002),
        ({"md5": None}, 2004),
        ({"md5": ""}, 2004),
        ({"md5": "0" * 32}, 2004),
        ({"model_name": "a/b"}, 336001),
    ],
)
def test_fields_that_are_wrong(
    daemon: RunningDaemon, version: Make, fields: Dict[str, Optional[str]], expected: int
) -> None:
    before = worker_of(daemon)
    answer = update(daemon, version("1").read_bytes(), **fields)
    assert errno(answer) == expected
    assert answer.status == (404 if expected == 2002 else 400)
    assert (worker_of(daemon), served(daemon)) == (before, "0")


def test_the_md5_may_be_in_capitals(daemon: RunningDaemon, version: Make) -> None:
    import hashlib

    body = version("1").read_bytes()
    assert update(daemon, body, md5=hashlib.md5(body).hexdigest().upper()).json == SUCCESS


def hostile(path: Path) -> Path:
    return pack(path, {"../../escaped": b"x", "model.yaml": b"task: detection"})


@pytest.mark.parametrize("what", ["nothing", "no zip", "cut", "empty", "hostile", "bomb"])
def test_files_that_are_wrong(
    daemon: RunningDaemon, version: Make, tmp_path: Path, what: str
) -> None:
    whole = version("1").read_bytes()
    bomb = tmp_path / "bomb.zip"
    if what == "bomb":
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
            for number in range(2):
                with packed.open(str(number), "w") as file:
                    for _ in range(550):
                        file.write(bytes(1 << 20))
    bodies = {
        "nothing": b"",
        "no zip": b"GIF89a",
        "cut": whole[:-100],
        "empty": pack(tmp_path / "empty.zip", {}).read_bytes(),
        "hostile": hostile(tmp_path / "hostile.zip").read_bytes(),
        "bomb": bomb.read_bytes() if bomb.exists() else b"",
    }
    answer = update(daemon, bodies[what])
    assert (answer.status, errno(answer)) == (400, 2003)
    assert served(daemon) == "0"
    assert not list(tmp_path.rglob("escaped"))
    assert len(list((tmp_path / "state" / "versions").glob("*/*.yaml"))) == 1


def test_without_the_file(daemon: RunningDaemon) -> None:
    fields = form(("model_id", str(MID).encode()), ("md5", b"0" * 32))
    assert errno(daemon.post(UPDATE, fields, FORM)) == 2003


def test_a_zip_without_a_model(daemon: RunningDaemon, tmp_path: Path) -> None:
    answer = update(daemon, pack(tmp_path / "a.zip", {"readme.txt": b"hello"}).read_bytes())
    assert (answer.status, errno(answer)) == (400, 2005)
    assert "no exporter is recognised" in answer.json["message"]


def test_a_model_of_another_task(daemon: RunningDaemon, tmp_path: Path) -> None:
    from tests.registry.packing import pack_folder

    archive = pack_folder(tmp_path / "digits.zip", DEMO_MODELS / "digits")
    answer = update(daemon, archive.read_bytes())
    assert (answer.status, errno(answer)) == (400, 2005)
    assert "detection" in answer.json["message"]
    assert "classification" in answer.json["message"]
    assert served(daemon) == "0"


def test_a_model_that_does_not_load(daemon: RunningDaemon, version: Make) -> None:
    path = version("1")
    with zipfile.ZipFile(path) as packed:
        files: Dict[Any, bytes] = {name: packed.read(name) for name in packed.namelist()}
    files["model"] = files["model"][: len(files["model"]) // 2]
    answer = update(daemon, pack(path, files).read_bytes())
    assert (answer.status, errno(answer)) == (400, 2005)
    assert served(daemon) == "0"


def test_no_form(daemon: RunningDaemon, version: Make) -> None:
    answer = daemon.post(UPDATE, version("1").read_bytes())
    assert (answer.status, errno(answer)) == (400, 336001)
    empty = daemon.post(UPDATE, b"", FORM)
    assert errno(empty) == 2003


def test_another_update_under_way(daemon: RunningDaemon, version: Make, tmp_path: Path) -> None:
    import threading

    body = version("1").read_bytes()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(update(daemon, body).json))
    with stopped(zygote_of(daemon)):
        thread.start()
        from tests.support import wait_for

        wait_for(lambda: len(list((tmp_path / "state/versions").glob("*/model.yaml"))) == 2)
        busy = update(daemon, version("2").read_bytes())
        assert (busy.status, errno(busy)) == (409, 336100)
    thread.join()
    assert answers == [SUCCESS]


@pytest.mark.parametrize("more", [1 << 20, 10])
def test_without_room_on_the_disk(serve: Serve, models: Path, version: Make, more: int) -> None:
    """Stood in for by a limit on a file's size, which fails a write just so: with the bytes
    that there is no room for left out first, and an error only after."""
    daemon = serve(models, model_changes="open")
    big = version("1").read_bytes() + bytes(100_000)
    with small_files(daemon, len(big)):
        answer = update(daemon, big + bytes(more))
    assert (answer.status, errno(answer)) == (507, 336000)
    assert served(daemon) == "0"


def test_who_may(serve: Serve, models: Path, version: Make) -> None:
    """Without the setting a token of a key that may; one for predictions is not enough."""
    daemon = serve(models)
    state = models.parent / "state"
    body = version("1").read_bytes()
    refused = update(daemon, body)
    assert (refused.status, errno(refused)) == (401, 100)
    tokens = {
        name: token_of(daemon, make_key(state, name, **rules))
        for name, rules in {
            "camera": {},
            "other": {"manage": True, "models": ("hats",)},
            "keeper": {"manage": True, "models": ("colour",)},
        }.items()
    }
    import hashlib

    fields = form(
        ("file", body), ("model_id", b"7"), ("md5", hashlib.md5(body).hexdigest().encode())
    )
    for name in ("camera", "other"):
        answer = daemon.post(UPDATE, fields, {**FORM, **bearer(tokens[name])})
        assert (answer.status, errno(answer)) == (403, 6)
    assert served(daemon) == "0"
    assert daemon.post(UPDATE, fields, {**FORM, **bearer(tokens["keeper"])}).json == SUCCESS
    assert served(daemon) == "1"
    for method, path in (
        ("PUT", "/api/models/7"),
        ("DELETE", "/api/models/7"),
        ("POST", "/api/models/7/disable"),
        ("POST", "/api/models/reload"),
        ("POST", "/api/models?folder=a"),
    ):
        assert daemon.request(method, path).status == 401
        assert daemon.request(method, path, headers=bearer(tokens["camera"])).status == 403
        assert daemon.request(method, path, headers=bearer(tokens["other"])).status == 403
    assert daemon.request("GET", "/api/models/7").status == 200


def test_a_key_for_some_models_changes_no_other(serve: Serve, models: Path, version: Make) -> None:
    """Neither by giving another model a name of its own, nor its own another name."""
    add_model(models, mid=8, name="hats")
    daemon = serve(models)
    key = make_key(models.parent / "state", "keeper", manage=True, models=("colour", "spare"))
    headers = bearer(token_of(daemon, key))
    body = version("1").read_bytes()

    def put(mid: int, name: str) -> int:
        return daemon.request("PUT", f"/api/models/{mid}?name={name}", body, headers).status

    assert put(8, "spare") == 403
    assert put(MID, "mine") == 403
    add = "/api/models?folder=hats&name=spare"
    assert daemon.request("POST", add, body, headers).status == 403
    for mid, name in (("8", "spare"), ("7", "mine")):
        answer = update(daemon, body, headers, model_id=mid, model_name=name)
        assert (answer.status, errno(answer)) == (403, 6)
    assert (daemon.model(8)["name"], daemon.model(MID)["name"]) == ("hats", "colour")
    assert put(MID, "spare") == 200
    assert daemon.model(MID)["name"] == "spare"
