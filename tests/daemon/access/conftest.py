"""One daemon that wants tokens, with the demo models; and daemons without models, which start
at once, for what comes before a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

import pytest

from edged.keys import NewKey
from tests.daemon.access.keyring import make_key, token_of
from tests.support import DEMO_MODELS, RunningDaemon

Serve = Callable[..., RunningDaemon]

SHOP, BOARD = "https://shop.example", "http://10.0.0.5:8080"
"""Origins whose pages may call."""

_WORDS_OF_HARM = ("Traceback", "BlockingError", "never retrieved", "Warning", "internal error")


class Guarded(NamedTuple):
    """A daemon with `auth: required`, a key without limits and its token."""

    daemon: RunningDaemon
    state: Path
    key: NewKey
    token: str


@pytest.fixture(scope="session")
def guarded(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """With the demo models, of which tests ask digits (1) and camera-check (2)."""
    own = tmp_path_factory.mktemp("guarded")
    (state / "converted").mkdir(exist_ok=True)
    (own / "converted").symlink_to(state / "converted")  # each model is converted once
    key = make_key(own, "everything")
    origins = f"{SHOP} {BOARD}"
    with RunningDaemon(
        models=DEMO_MODELS,
        state=own,
        auth="required",
        cors_origins=origins,
        log_level="debug",
        deadline=60,  # a busy machine is no business of these tests
        run_timeout=60,
    ) as daemon:
        token = token_of(daemon, key)
        yield Guarded(daemon, own, key, token)
        _assert_unharmed(daemon.log())
        for secret in (key.secret_key, token, "client_secret", "access_token"):
            assert secret not in daemon.log()


@pytest.fixture
def own_state(tmp_path: Path) -> Path:
    """A state directory of the test's own, which nothing has made yet."""
    return tmp_path / "state"


@pytest.fixture
def serve(tmp_path: Path, own_state: Path) -> Iterator[Serve]:
    """Starts daemons without models, with settings as keywords."""
    (tmp_path / "models").mkdir()
    running: List[RunningDaemon] = []

    def start(**settings: object) -> RunningDaemon:
        folders: Dict[str, Any] = {"models": tmp_path / "models", "state": own_state}
        daemon = RunningDaemon(**{**folders, **settings})
        running.append(daemon)
        return daemon

    yield start
    logs = []
    for daemon in running:
        ended = daemon.process.poll() is not None
        daemon.process.terminate()
        status = daemon.process.wait(30)
        logs.append(daemon.log())
        daemon.close()
        assert ended or status == 0, logs
    for log in logs:
        _assert_unharmed(log)


def _assert_unharmed(log: str) -> None:
    for word in _WORDS_OF_HARM:
        assert word not in log, log
