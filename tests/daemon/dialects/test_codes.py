"""The table of codes in docs/baidu.md, walked: every row is seen for real."""

from __future__ import annotations

import re
import shutil
import signal
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

import jwt
import pytest

from edged.daemon.dialects.baidu import MESSAGES, RESERVED
from edged.keys import KeyStore, NewKey, Rules
from tests.daemon.contract import Connection, Json, json_body
from tests.daemon.dialects.cloud import Model, ask, content_of, refused, token_of
from tests.daemon.processes import HELD, end_worker, ready_workers, stopped
from tests.pictures import encoded, landscape
from tests.support import DEMO_MODELS, ROOT, RunningDaemon, wait_for

PAGE = (ROOT / "docs" / "baidu.md").read_text()
ROWS: List[Tuple[str, str]] = re.findall(r"^\| (\d+) \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)

# Two workers, so that a picture meets the second when the first has died of it.
WORKERS = 2
# More requests than any limit below allows, should the second or the day turn meanwhile.
MANY = 50
OF_THE_CLOUD = "24.6c5e1ff107f0e8bcef8c46d3424a0e78.2592000.1485516651.282335-8574074"

Start = Callable[..., RunningDaemon]


class Board(NamedTuple):
    """A daemon with a detector, a classifier and a model that cannot be served."""

    daemon: RunningDaemon
    state: Path
    start: Start
    digits: Model
    key: NewKey
    token: str

    @property
    def path(self) -> str:
        return self.digits.cloud(self.token)

    def ask(self, body: bytes) -> Json:
        return ask(self.daemon, self.path, body)

    def with_token(self, token: str) -> Json:
        return ask(self.daemon, self.digits.cloud(token), json_body(self.digits.image))

    def create(self, name: str, **rules: Any) -> NewKey:
        with closing(KeyStore(self.state)) as store:
            return store.create(name, Rules(**rules))

    def beyond(self, name: str, **limit: int) -> Json:
        """What a key hears that asks more often than it may; what it asks for is nothing."""
        token = token_of(self.daemon, self.create(name, **limit))
        for _ in range(MANY):
            content = ask(self.daemon, self.digits.cloud(token), b"")
            if refused(content) != 336006:
                return content
        raise AssertionError(f"{MANY} requests are within {limit}")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory, digits: Model) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("codes")
    models, state = folder / "models", folder / "state"
    for source in ("digits", "camera-check"):
        shutil.copytree(DEMO_MODELS / source, models / source)
    with (models / "digits" / "model.yaml").open("a") as manifest:
        manifest.write(f"instances: {WORKERS}\n")
    shutil.copytree(DEMO_MODELS / "digits", models / "broken")
    manifest_of_broken = (DEMO_MODELS / "digits" / "model.yaml").read_text()
    (models / "broken" / "model.yaml").write_text(
        manifest_of_broken.replace("mid: 1", "mid: 3").replace("name: digits", "name: broken")
    )
    (models / "broken" / "model.pdiparams").unlink()
    with closing(KeyStore(state, create=True)) as store:
        key = store.create("codes", Rules())
    running = ExitStack()

    def start(**settings: Any) -> RunningDaemon:
        daemon = RunningDaemon(models=models, state=state, log_level="debug", **settings)
        return running.enter_context(daemon)

    with running:
        daemon = start(queue=1)
        yield Board(daemon, state, start, digits, key, token_of(daemon, key))


def send(connection: Connection, board: Board, image: bytes) -> None:
    """A request of which no answer is waited for."""
    body = json_body(image)
    connection.head(board.path, f"Content-Length: {len(body)}\r\n")
    connection.send(body)


def send_and_see_it_taken(
    connection: Connection, daemon: RunningDaemon, board: Board, image: bytes
) -> None:
    """It is in the daemon's receive buffer, and a loop that answers ten more came by there."""
    send(connection, board, image)
    for _ in range(10):
        daemon.model(board.digits.mid)


def no_such_model(board: Board) -> Json:
    return ask(board.daemon, board.digits._replace(name="absent").cloud(board.token), b"{}")


def full_queue(board: Board) -> Json:
    daemon, mid = board.daemon, board.digits.mid
    with ExitStack() as connections:
        held = [connections.enter_context(Connection(daemon)) for _ in range(HELD * WORKERS + 1)]
        with stopped(*ready_workers(daemon, mid, WORKERS)):
            for connection in held:
                send_and_see_it_taken(connection, daemon, board, board.digits.image)
            assert daemon.model(mid)["counters"]["queued"] == 1
            content = board.ask(json_body(board.digits.image))
        for connection in held:
            assert "results" in content_of(daemon, connection.answer())
    return content


def key_of_another_model(board: Board) -> Json:
    key = board.create("cameras-only", models=("camera-check",))
    return board.with_token(token_of(board.daemon, key))


def revoked_key(board: Board) -> Json:
    token = token_of(board.daemon, board.create("revoked"))
    with closing(KeyStore(board.state)) as store:
        store.revoke("revoked")
    return wait_for_error(lambda: board.with_token(token))


def wait_for_error(answer: Callable[[], Json]) -> Json:
    """The first answer that is one."""

    def error() -> Json:
        content = answer()
        return content if "error_code" in content else {}

    found: Json = wait_for(error)
    return found


def expired_token(board: Board) -> Json:
    with closing(KeyStore(board.state)) as store:
        secret = store.signing_secret()
    claims = {"sub": board.key.api_key, "generation": 1, "exp": int(time.time()) - 1}
    return board.with_token(jwt.encode(claims, secret, "HS256"))


def deadly_picture(board: Board) -> Json:
    """It is there when two workers crash, one after the other."""
    daemon, image = board.daemon, board.digits.image + b"deadly"
    workers = ready_workers(daemon, board.digits.mid, WORKERS)
    with Connection(daemon) as connection, stopped(*workers):
        send_and_see_it_taken(connection, daemon, board, image)
        for pid in workers:
            end_worker(daemon, pid, signal.SIGSEGV)
        content_of(daemon, connection.answer())
    return board.ask(json_body(image))


def failed_model(board: Board) -> Json:
    broken = board.digits._replace(name="broken").cloud(board.token)
    return ask(board.daemon, broken, json_body(board.digits.image))


PROVOCATIONS: Dict[int, Callable[[Board], Json]] = {
    3: no_such_model,
    4: full_queue,
    6: key_of_another_model,
    15: revoked_key,
    17: lambda board: board.beyond("daily", per_day=1),
    18: lambda board: board.beyond("hasty", per_second=1),
    19: lambda board: board.beyond("total", total=1),
    100: lambda board: board.with_token(""),
    110: lambda board: board.with_token(OF_THE_CLOUD),
    111: expired_token,
    336000: deadly_picture,
    336001: lambda board: board.ask(json_body(board.digits.image, top_num=0)),
    336002: lambda board: board.ask(b"image"),
    336003: lambda board: board.ask(b'{"image": "-_"}'),
    336004: lambda board: board.ask(json_body(encoded(landscape(14, 40)))),
    336005: lambda board: board.ask(json_body(b"a text")),
    336006: lambda board: board.ask(b"{}"),
    336100: failed_model,
}


@pytest.mark.parametrize(("code", "words"), ROWS)
def test_every_row_of_the_table_is_seen(board: Board, code: str, words: str) -> None:
    content = PROVOCATIONS[int(code)](board)
    assert refused(content) == int(code)
    assert content["error_msg"] == words or content["error_msg"].startswith(f"{words}: ")


def test_an_answer_that_comes_too_late(board: Board) -> None:
    """The board's own API has 336101 for it; here it is as if the model were not there."""
    daemon = board.start(deadline=1)
    with stopped(*ready_workers(daemon, board.digits.mid, WORKERS)):
        content = ask(daemon, board.path, json_body(board.digits.image))
    assert refused(content) == 336100
    assert "deadline" in content["error_msg"]


def test_the_table_has_every_code() -> None:
    documented = {int(code): words for code, words in ROWS}
    assert list(documented) == list(PROVOCATIONS)
    reserved = {code: MESSAGES[code] for code in RESERVED}
    assert not set(documented) & set(reserved)
    assert {**documented, **reserved} == MESSAGES


def test_what_is_reserved_is_named() -> None:
    told = " ".join(PAGE.split("\nReserved, ")[1].split("\n\n")[0].split())
    named = {int(code): words for code, words in re.findall(r"(\d+) \(([^)]+)\)", told)}
    assert named == {code: MESSAGES[code] for code in RESERVED}


def test_the_other_language_has_every_code() -> None:
    table = (ROOT / "docs" / "baidu.zh.md").read_text().split("## 错误码")[1]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    documented = {int(code) for row in rows for code in re.findall(r"\d+", row)}
    assert documented == set(PROVOCATIONS)
    reserved = table.strip().splitlines()[-1]
    assert {int(code) for code in re.findall(r"\d+", reserved)} == RESERVED
