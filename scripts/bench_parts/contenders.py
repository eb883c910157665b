"""Everyone who is measured, behind one face: a name, an answer, a rate."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict, List, Protocol

from scripts.bench_parts import wrk
from scripts.bench_parts.answers import Answer, same
from scripts.bench_parts.lab import ROOT, Lab, environment
from scripts.bench_parts.messages import Message, edged_answer, edged_message, post
from scripts.bench_parts.models import Instance, folder_of, models_folder
from scripts.bench_parts.names import LOOPS, PICODET
from scripts.bench_parts.servers import PEERS, Server, start_edged

# Room in edged's queue for each client that the grid has: none is refused there.
_QUEUE = 128


class Contender(Protocol):
    def answer(self, picture: Path) -> Answer: ...

    def rate(self, picture: Path, connections: int, seconds: int) -> float:
        """Pictures answered a second."""


class Http:
    """A server, asked with one form of message."""

    def __init__(
        self,
        server: Server,
        message: Callable[[Path], Message],
        answer: Callable[[Any], Answer],
    ) -> None:
        self.server = server
        self.message = message
        self._answer = answer

    def answer(self, picture: Path) -> Answer:
        return self._answer(post(self.server.url, self.message(picture)))

    def rate(self, picture: Path, connections: int, seconds: int) -> float:
        return wrk.load(self.server.url, self.message(picture), connections, seconds).rate


class Loop:
    """The same loop in `count` processes at once. No client: `connections` binds nothing."""

    def __init__(self, lab: Lab, name: str, how: str, folder: Path, count: int) -> None:
        self._log = log = lab.path("logs", f"loop-{name}-{how}.log")
        command = lab.module("loop", name, folder, how)
        with log.open("wb") as said:
            self._processes = [
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    text=True,
                )
                for _ in range(count)
            ]

    def answer(self, picture: Path) -> Answer:
        answers: List[Answer] = [said["answer"] for said in self.order(picture, 0)]
        return answers[0]

    def rate(self, picture: Path, connections: int, seconds: int) -> float:
        rates: List[float] = [
            said["count"] / said["seconds"] for said in self.order(picture, seconds)
        ]
        return sum(rates)

    def order(self, picture: Path, seconds: float) -> List[Dict[str, Any]]:
        """What each process says; they work at the same time."""
        line = json.dumps({"picture": str(picture), "seconds": seconds}) + "\n"
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(line)
            process.stdin.flush()
        return [self._said(process) for process in self._processes]

    def _said(self, process: subprocess.Popen[str]) -> Dict[str, Any]:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                said: Dict[str, Any] = json.loads(line)
                return said
        raise RuntimeError(f"{process.args!r} ended, see {self._log}")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


class Field:
    """The contenders of one model, started as they are wanted and all ended by `close`."""

    def __init__(self, lab: Lab, model: str) -> None:
        self._lab = lab
        self._model = model
        self._stack = ExitStack()
        self._servers: Dict[str, Server] = {}
        self._contenders: Dict[str, Contender] = {}

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self, name: str, picture: Path) -> Contender:
        """The contender, running; if it has to be started, `picture` is what it is asked first."""
        if name not in self._contenders:
            self._contenders[name] = self._start(name, picture)
        return self._contenders[name]

    def _start(self, name: str, picture: Path) -> Contender:
        lab, folder = self._lab, folder_of(self._lab, self._model)
        if name in LOOPS:
            function, _, how = name.partition(" ")
            loop = Loop(lab, function, how or "serial", folder, lab.cores)
            self._stack.callback(loop.close)
            return loop
        kind, _, inside = name.partition(" ")
        if kind == "edged":
            return self._edged(inside)
        (peer,) = (one for one in PEERS if one.name == kind)
        server = self._stack.enter_context(peer.start(lab, inside, folder, picture))
        return Http(server, lambda shown: peer.message(lab, shown), peer.answer)

    def _edged(self, how: str) -> Contender:
        lab, boxes = self._lab, self._model == PICODET

        def message(shown: Path) -> Message:
            return edged_message(lab, shown, how)

        if "edged" not in self._servers:  # one daemon speaks all four
            models = models_folder(lab, [Instance(self._model)])
            self._servers["edged"] = self._stack.enter_context(
                start_edged(lab, models, queue=_QUEUE)
            )
        return Http(self._servers["edged"], message, lambda said: edged_answer(said, boxes))


def check_answers(contenders: Dict[str, Contender], picture: Path) -> Answer:
    """What all of them answer. Raises RuntimeError naming those that do not agree."""
    answers = {name: one.answer(picture) for name, one in contenders.items()}
    first = next(iter(answers))
    others = [name for name in answers if not same(answers[first], answers[name])]
    if others:
        told = "\n".join(f"  {name}: {answers[name]}" for name in (first, *others))
        raise RuntimeError(f"not the same answer for {picture}:\n{told}")
    return answers[first]
