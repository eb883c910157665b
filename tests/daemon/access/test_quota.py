"""Limits of a key: per second, per day, in all; what was used outlives the daemon."""

from __future__ import annotations

import resource
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import List, Optional

import pytest

from edged.daemon.quota import Quota
from edged.errors import SecondLimit
from edged.keys import FILE, KeyStore, NewKey, Usage
from tests.daemon.access.conftest import Serve
from tests.daemon.access.keyring import MODELS, ask, bearer, code_of, listed, make_key, token_of
from tests.support import Answer, RunningDaemon, wait_for

DAY, SECOND, TOTAL = 17, 18, 19


# Hours from here to where it is noon: the day must not end while a test runs.
_AHEAD = 12 - time.gmtime().tm_hour


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the daemons of these tests."""
    monkeypatch.setenv("TZ", f"NOON{-_AHEAD:+d}")


def today() -> str:
    """By the daemons' clock."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3600 * _AHEAD))


def codes(daemon: RunningDaemon, token: str, count: int) -> List[int]:
    return [code_of(ask(daemon, token)) for _ in range(count)]


def used(state: Path, key: NewKey) -> Usage:
    """As it is kept."""
    with closing(KeyStore(state)) as store:
        return store.usage().get(key.api_key, Usage("", 0, 0))


def test_per_day(serve: Serve, own_state: Path) -> None:
    key = make_key(own_state, per_day=3)
    daemon = serve(auth="required")
    token = token_of(daemon, key)
    assert codes(daemon, token, 6) == [0, 0, 0, DAY, DAY, DAY]
    answer = ask(daemon, token)
    assert (answer.status, "retry-after" in answer.headers) == (429, False)
    wait_for(lambda: used(own_state, key).total == 3)  # what was refused is not among them
    assert used(own_state, key) == (today(), 3, 3)
    cloud = daemon.post("/rest/2.0/ocr/v1/general", b"", bearer(token))
    assert (cloud.status, code_of(cloud)) == (200, DAY)


def test_another_day_begins_anew_but_not_the_total(serve: Serve, own_state: Path) -> None:
    key = make_key(own_state, per_day=2, total=5)
    with closing(KeyStore(own_state)) as store:
        store.add_usage({key.api_key: Usage("2020-02-29", 2, 2)})
    daemon = serve(auth="required")
    assert codes(daemon, token_of(daemon, key), 4) == [0, 0, DAY, DAY]
    wait_for(lambda: used(own_state, key) == (today(), 2, 4))


def test_in_all(serve: Serve, own_state: Path) -> None:
    key = make_key(own_state, "counted", total=2)
    daemon = serve(auth="required")
    token = token_of(daemon, key)
    assert codes(daemon, token, 4) == [0, 0, TOTAL, TOTAL]
    assert ask(daemon, token).status == 429
    wait_for(lambda: used(own_state, key).total == 2)
    assert listed(own_state, "counted")["used"] == 2


def test_per_second(serve: Serve, own_state: Path) -> None:
    key = make_key(own_state, per_second=1)
    daemon = serve(auth="required")
    token = token_of(daemon, key)
    assert code_of(ask(daemon, token)) == 0

    def refusal() -> Optional[Answer]:
        answer = ask(daemon, token)
        return None if answer.status == 200 else answer

    refused = wait_for(refusal)
    assert (refused.status, code_of(refused)) == (429, SECOND)
    assert refused.headers["retry-after"] == "1"
    wait_for(lambda: code_of(ask(daemon, token)) == 0)


def test_so_many_in_a_second_and_no_more(own_state: Path) -> None:
    now = 1000.0
    quota = Quota(lambda: now)
    make_key(own_state, per_second=3)
    with closing(KeyStore(own_state)) as store:
        (key,) = store.keys()
    for second in (1000.0, 1001.0):
        now = second
        for _ in range(3):
            quota.admit(key)
        with pytest.raises(SecondLimit):
            quota.admit(key)
        now = second + 0.99
        with pytest.raises(SecondLimit):
            quota.admit(key)


def test_what_is_refused_costs_nothing(serve: Serve, own_state: Path) -> None:
    """By whichever limit, nor by a token that does not hold."""
    daily = make_key(own_state, "daily", per_day=1, total=3)
    hasty = make_key(own_state, "hasty", per_second=1, per_day=1000)
    daemon = serve(auth="required")
    assert codes(daemon, token_of(daemon, daily), 6) == [0, DAY, DAY, DAY, DAY, DAY]
    token = token_of(daemon, hasty)
    answered = codes(daemon, token, 50)
    assert SECOND in answered
    assert codes(daemon, token + "x", 3) == [110] * 3
    assert daemon.request("GET", "/healthz", headers=bearer(token)).status == 200
    wait_for(lambda: used(own_state, daily).total == 1)
    wait_for(lambda: used(own_state, hasty).total == answered.count(0))


def test_keys_are_counted_apart(serve: Serve, own_state: Path) -> None:
    one, two = make_key(own_state, "one", total=1), make_key(own_state, "two", total=2)
    daemon = serve(auth="required")
    first, second = token_of(daemon, one), token_of(daemon, two)
    assert codes(daemon, first, 2) == [0, TOTAL]
    assert codes(daemon, second, 3) == [0, 0, TOTAL]


def test_counters_survive_a_restart(serve: Serve, own_state: Path) -> None:
    """Those too that were counted right before it."""
    key = make_key(own_state, total=4)
    daemon = serve(auth="required")
    token = token_of(daemon, key)
    assert codes(daemon, token, 3) == [0, 0, 0]
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(30) == 0
    assert used(own_state, key).total == 3
    assert codes(serve(auth="required"), token, 2) == [0, TOTAL]


def test_counters_survive_a_kill_once_they_are_written(serve: Serve, own_state: Path) -> None:
    key = make_key(own_state, per_day=4)
    daemon = serve(auth="required")
    token = token_of(daemon, key)
    assert codes(daemon, token, 3) == [0, 0, 0]
    wait_for(lambda: used(own_state, key).total == 3)
    daemon.process.kill()
    daemon.process.wait()
    assert codes(serve(auth="required"), token, 2) == [0, DAY]


def test_a_change_to_the_keys_takes_back_no_count(serve: Serve, own_state: Path) -> None:
    """The daemon reads the file again, in which the newest requests may not be yet."""
    key = make_key(own_state, total=3)
    daemon = serve(auth="required")
    token = token_of(daemon, key)
    for number in range(3):
        assert code_of(ask(daemon, token)) == 0
        token_of(daemon, make_key(own_state, f"key {number}"))  # it has been noticed
    assert code_of(ask(daemon, token)) == TOTAL


def test_what_is_counted_while_others_are_written_is_written_next(own_state: Path) -> None:
    make_key(own_state)
    with closing(KeyStore(own_state)) as store:
        (key,) = store.keys()
    quota = Quota()
    quota.admit(key)
    being_written = quota.unsaved()
    quota.admit(key)
    quota.saved(being_written)
    assert quota.unsaved()[key.api_key].total == 1
    quota.saved(quota.unsaved())
    assert quota.unsaved() == {}


def test_daemons_on_one_store_share_the_count(serve: Serve, own_state: Path) -> None:
    key = make_key(own_state, total=5)
    one, other = serve(auth="required"), serve(auth="required")
    token = token_of(one, key)
    assert codes(one, token, 3) == [0, 0, 0]
    wait_for(lambda: used(own_state, key).total == 3)
    token_of(other, make_key(own_state, "later"))  # what is in the store by now, it knows
    assert codes(other, token, 3) == [0, 0, TOTAL]
    wait_for(lambda: used(own_state, key).total == 5)
    wait_for(lambda: code_of(ask(one, token)) == TOTAL)


@pytest.mark.parametrize(("back", "code"), [(1, DAY), (7, DAY), (8, 0)])
def test_a_clock_that_is_set_back_a_little_gives_no_day_twice(
    serve: Serve, own_state: Path, back: int, code: int
) -> None:
    """More, and it was the day of the last request that was wrong."""
    key = make_key(own_state, per_day=2)
    ahead = time.gmtime(time.time() + 3600 * (_AHEAD + 24 * back))
    with closing(KeyStore(own_state)) as store:
        store.add_usage({key.api_key: Usage(time.strftime("%Y-%m-%d", ahead), 2, 2)})
    daemon = serve(auth="required")
    assert code_of(ask(daemon, token_of(daemon, key))) == code


def test_what_is_written_is_not_written_again(serve: Serve, own_state: Path) -> None:
    """A daemon that nobody asks spares the board's flash."""
    key = make_key(own_state)
    daemon = serve(auth="required")
    assert codes(daemon, token_of(daemon, key), 2) == [0, 0]
    wait_for(lambda: used(own_state, key).total == 2)
    with closing(KeyStore(own_state)) as store:
        store.add_usage({key.api_key: Usage("", 0, 77)})
    for name in ("one", "two"):  # it has looked, and had the occasion to write
        token_of(daemon, make_key(own_state, name))
    assert used(own_state, key).total == 2 + 77


def test_a_full_disk(serve: Serve, own_state: Path) -> None:
    """The daemon goes on, says so once, counts in memory, and keeps it when there is room."""
    key = make_key(own_state, total=4)
    daemon = serve(auth="required")
    token = token_of(daemon, key)
    assert code_of(ask(daemon, token)) == 0
    wait_for(lambda: used(own_state, key).total == 1)
    with closing(KeyStore(own_state)) as store:
        for _ in range(100):  # so that the log of the database is longer than that of the daemon
            store.add_usage({"": Usage("", 0, 0)})
    size = (own_state / f"{FILE}-wal").stat().st_size
    assert size > 2 * len(daemon.log())
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, hard))
    assert codes(daemon, token, 2) == [0, 0]
    said = f"the keys in {own_state / FILE}: "
    wait_for(lambda: said in daemon.log())
    assert used(own_state, key).total == 1
    assert codes(daemon, token, 2) == [0, TOTAL]
    # Keys that others change are noticed all the same.
    other = token_of(daemon, make_key(own_state, "other"))
    assert code_of(ask(daemon, other)) == 0
    assert daemon.log().count(said) == 1
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
    wait_for(lambda: used(own_state, key).total == 4)
    assert daemon.request("GET", MODELS, headers=bearer(other)).status == 200
