"""Who asks the service, before, during and after what is done to it."""

from __future__ import annotations

import http.client
import threading
from typing import Dict, List, NamedTuple

from tests.daemon.contract import BINARY
from tests.support import DEMO_MODELS, wait_for
from tests.systemd.machine import Machine

SAMPLE = (DEMO_MODELS / "digits" / "sample.jpg").read_bytes()


class Reply(NamedTuple):
    status: int
    closes: bool
    body: bytes


class Client:
    """One connection after another, each for as long as the daemon keeps it."""

    def __init__(self, machine: Machine, timeout: float = 120.0) -> None:
        self._machine = machine
        self._connection = http.client.HTTPConnection("127.0.0.1", 9876, timeout=timeout)

    def post(self, keep: bool = True) -> Reply:
        """The sample of the digits. Raises OSError or HTTPException when it is lost."""
        if self._connection.sock is None:
            with self._machine.network():
                self._connection.connect()
        headers = {} if keep else {"Connection": "close"}
        self._connection.request("POST", f"{BINARY}?mid=1", SAMPLE, headers)
        response = self._connection.getresponse()
        reply = Reply(response.status, response.will_close, response.read())
        if response.will_close:
            self._connection.close()
        return reply

    def get(self, path: str) -> int:
        with self._machine.network():
            self._connection.request("GET", path)
        response = self._connection.getresponse()
        response.read()
        return response.status

    def close(self) -> None:
        self._connection.close()


class Load:
    """Clients that ask without a pause, half of them on connections that they keep."""

    def __init__(self, machine: Machine, clients: int = 4) -> None:
        self._machine = machine
        self._going = True
        self.replies: List[Reply] = []
        self.kept_closed: Dict[int, int] = {}
        self.lost: List[str] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(number, number % 2 == 0))
            for number in range(clients)
        ]

    def _ask(self, number: int, keep: bool) -> None:
        client = Client(self._machine)
        while self._going:
            try:
                reply = client.post(keep)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                client.close()
                continue
            self.replies.append(reply)
            if keep and reply.closes:
                self.kept_closed[number] = self.kept_closed.get(number, 0) + 1
        client.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_for(lambda: len(self.replies) >= 2 * len(self._threads))
        return self

    def __exit__(self, *_: object) -> None:
        # Until some were answered after whatever happened.
        answered = len(self.replies)
        try:
            wait_for(lambda: len(self.replies) >= answered + 4 * len(self._threads))
        finally:
            self._going = False
            for thread in self._threads:
                thread.join()

    def check(self) -> None:
        """Nothing was lost, refused or failed; and who kept a connection was told."""
        assert self.lost == []
        assert {reply.status for reply in self.replies} == {200}
        assert all(b'"code":0' in reply.body for reply in self.replies)
        assert set(self.kept_closed) == {0, 2}
