"""The worker without a model that says whether a dataset's pictures decode."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from tests.daemon.contract import Connection, Json
from tests.daemon.dialects.cloud import content_of, refused, text_of
from tests.daemon.dialects.datasets import (
    ADD,
    BASE,
    CLASSES,
    TEXTS,
    Client,
    client_of,
    dumped,
    new_key,
    picture,
)
from tests.daemon.processes import HELD, end_worker, stopped
from tests.daemon.workers.conftest import Serve, zygote_of
from tests.pictures import encoded
from tests.support import descendants, wait_for


class Field(NamedTuple):
    """A client, its dataset of pictures, and the daemon's state."""

    api: Client
    number: int
    state: Path

    @property
    def worker(self) -> int:
        """Its pid, as soon as it is there."""

        def pid() -> int:
            return sum(descendants(zygote_of(self.api.daemon)))  # it is the only one

        return int(wait_for(pid))

    def add(self, image: bytes) -> Json:
        return self.api.call(ADD, self._body(image))

    def send(self, connection: Connection, image: bytes) -> None:
        """Returns when it is with the worker, or in the queue."""
        body = dumped(self._body(image))
        connection.head(
            f"{BASE}{ADD}?access_token={self.api.token}", f"Content-Length: {len(body)}\r\n"
        )
        connection.send(body)
        for _ in range(10):
            self.api.daemon.request("GET", "/healthz")

    def _body(self, image: bytes) -> Json:
        return self.api.entity(CLASSES, self.number, entity_content=text_of(image))


@pytest.fixture
def field(serve: Serve, tmp_path: Path, request: pytest.FixtureRequest) -> Field:
    """A daemon without models; the test's parameter are its settings."""
    (tmp_path / "models").mkdir()
    key = new_key(tmp_path / "state", "field")
    daemon = serve(tmp_path / "models", **getattr(request, "param", {}))
    api = client_of(daemon, key)
    return Field(api, api.create(CLASSES, "field"), tmp_path / "state")


def with_settings(**settings: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("field", [settings], indirect=True, ids=[""])


def test_it_is_not_started_before_it_is_needed(field: Field) -> None:
    field.api.add(TEXTS, field.api.create(TEXTS, "field"))
    assert field.api.daemon.children() == []
    assert "error_code" not in field.add(picture())
    first = field.worker
    assert len(field.api.daemon.children()) == 2  # and the fork server
    assert "error_code" not in field.add(picture(1))
    assert field.worker == first


def test_a_killed_one_costs_no_picture(field: Field) -> None:
    field.add(picture())
    with Connection(field.api.daemon) as connection, stopped(field.worker):
        before = field.worker
        field.send(connection, picture(1))
        end_worker(field.api.daemon, before)
        assert "error_code" not in content_of(field.api.daemon, connection.answer())
    assert field.worker != before


@with_settings(run_timeout=1)
def test_a_hung_one_is_replaced(field: Field) -> None:
    field.add(picture())
    hung = field.worker
    with stopped(hung):
        content = field.add(picture(1))
    assert refused(content) == 406000
    assert "run_timeout" in content["error_msg"]
    assert "error_code" not in field.add(picture(2))
    assert field.worker != hung


@with_settings(deadline=1, run_timeout=60)
def test_a_slow_one_keeps_nobody_waiting(field: Field) -> None:
    field.add(picture())
    with stopped(field.worker):
        assert refused(field.add(picture(1))) == 406000


@with_settings(queue=1)
def test_its_queue_is_as_long_as_those_of_models(field: Field) -> None:
    field.add(picture())
    with ExitStack() as held:
        connections = [held.enter_context(Connection(field.api.daemon)) for _ in range(HELD + 1)]
        with stopped(field.worker):
            for number, connection in enumerate(connections, 1):
                field.send(connection, picture(number))
            assert refused(field.add(picture(9))) == 4
        for connection in connections:
            assert "error_code" not in content_of(field.api.daemon, connection.answer())


@with_settings(memory_mib=64)
def test_a_picture_that_crashes_it_is_refused_from_then_on(field: Field) -> None:
    """Two workers, one after the other, do not have the memory for it."""
    bad = encoded(Image.new("RGB", (7000, 5700)))
    assert refused(field.add(bad)) == 406001
    kept = field.state / "poison" / "pictures" / hashlib.sha256(bad).hexdigest()
    wait_for(lambda: kept.exists() and kept.read_bytes() == bad)
    assert "error_code" not in field.add(picture(2))
    survivor = field.worker
    content = field.add(bad)
    assert refused(content) == 406001
    assert "crashed" in content["error_msg"]
    assert field.worker == survivor


def test_what_a_large_picture_took_is_given_back(field: Field) -> None:
    field.add(picture())
    before = field.worker
    assert "error_code" not in field.add(encoded(Image.new("RGB", (6000, 6000))))
    wait_for(lambda: field.worker != before)
    assert "error_code" not in field.add(picture(3))
