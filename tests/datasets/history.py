"""A program that changes datasets and says what it does, and what must be there for it.

    python -m tests.datasets.history FOLDER RUN ROUNDS

Clients change datasets of their own at the same time, with contents in common. A line is said
before each change and one when it is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sqlite3
import sys
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Awaitable, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from edged.datasets.reader import FILE
from edged.datasets.store import Store
from edged.datasets.types import Content, Label, NewEntity, Page
from edged.datasets.writer import Datasets
from edged.errors import StoreError
from tests.datasets.stores import ENOUGH, TEXT, entities_of, tidied

_CLIENTS = 4
_CONTENTS = 12
_SIZES = (1, 300, 20_000)
_LABELS = ("a", "b", "c")


def content(number: int) -> bytes:
    return hashlib.shake_128(b"%d" % number).digest(_SIZES[number % len(_SIZES)])


class _Client:
    def __init__(self, store: Datasets, run: int, number: int) -> None:
        self._store = store
        self._run, self._number = run, number
        self._random = random.Random(f"{run}-{number}")
        self._said = 0

    async def live(self, rounds: int) -> None:
        """Until the disk fails it."""
        with suppress(StoreError):
            await self._live(rounds)

    async def _live(self, rounds: int) -> None:
        _, there = await self._store.list("", TEXT, Page(0, 1000))
        for old in there:
            run, number, _ = map(int, old.name.split("-"))
            if number == self._number and run < self._run - 1:
                await self._do(self._store.delete(old.id), op="delete", dataset=old.name)
        for turn in range(rounds):
            await self._round(f"{self._run}-{self._number}-{turn}")

    async def _round(self, name: str) -> None:
        dataset = await self._do(self._store.create("", TEXT, name), op="create", dataset=name)
        used = set()
        for _ in range(6):
            number = self._random.randrange(_CONTENTS)
            labels = self._random.sample(_LABELS, self._random.randrange(len(_LABELS)))
            append = self._random.random() < 0.5
            new = NewEntity(
                dataset,
                f"{number % 3}.txt",
                Content(content(number), ".txt"),
                [Label(label) for label in labels],
                append,
            )
            used.update(labels)
            await self._do(
                self._store.add(new),
                op="add",
                dataset=name,
                content=number,
                labels=labels,
                append=append,
            )
        for label in self._random.sample(sorted(used), min(1, len(used))):
            work = self._store.delete_label(dataset, label)
            await self._do(work, op="forget", dataset=name, label=label)
        if self._random.random() < 0.5:
            await self._do(self._store.delete(dataset), op="delete", dataset=name)

    async def _do(self, work: Awaitable[Any], **change: Any) -> Any:
        self._said += 1
        change["number"] = [self._run, self._number, self._said]
        print(json.dumps(change), flush=True)
        answer = await work
        print(json.dumps({"op": "done", "number": change["number"]}), flush=True)
        return answer


async def _main(folder: str, run: int, rounds: int) -> None:
    store = Datasets(Path(folder), ENOUGH)
    await store.start()
    print(json.dumps({"op": "ready"}), flush=True)
    await asyncio.gather(*(_Client(store, run, number).live(rounds) for number in range(_CLIENTS)))
    await store.close()


class State(NamedTuple):
    """Of a dataset: the labels it knows, and those of each entity by name and digest."""

    labels: FrozenSet[str] = frozenset()
    entities: FrozenSet[Tuple[str, str, FrozenSet[str]]] = frozenset()


def after(state: Optional[State], change: Dict[str, Any]) -> Optional[State]:
    """None: there is no such dataset."""
    if change["op"] == "create":
        return State()
    if change["op"] == "delete":
        return None
    assert state is not None
    entities = {(name, digest): labels for name, digest, labels in state.entities}
    known = state.labels
    if change["op"] == "add":
        number = change["content"]
        key = (f"{number % 3}.txt", hashlib.sha256(content(number)).hexdigest())
        before = entities.get(key, frozenset()) if change["append"] else frozenset()
        entities[key] = before | frozenset(change["labels"])
        known = known | frozenset(change["labels"])
    else:
        gone = frozenset({change["label"]})
        entities = {key: labels - gone for key, labels in entities.items()}
        known = known - gone
    return State(known, frozenset((*key, labels) for key, labels in entities.items()))


class World:
    """What must be there, run after run."""

    def __init__(self) -> None:
        self.answered = 0
        self._states: Dict[str, State] = {}

    def check(self, folder: Path, said: str) -> None:
        """What was answered is there, what was not is there or not, whole; nothing else is.

        A program that was cut off while it spoke may have said half a line.
        """
        possible: Dict[str, List[Optional[State]]] = {
            name: [state] for name, state in self._states.items()
        }
        waiting: Dict[Tuple[int, ...], Dict[str, Any]] = {}
        for line in said.splitlines(keepends=True):
            if not line.endswith("\n"):
                continue
            change = json.loads(line)
            number = tuple(change.get("number", ()))
            if change["op"] == "done":
                done = waiting.pop(number)
                self.answered += 1
                possible[done["dataset"]] = [after(possible[done["dataset"]][0], done)]
            elif change["op"] != "ready":
                waiting[number] = change
                possible.setdefault(change["dataset"], [None])
        for change in waiting.values():
            states = possible[change["dataset"]]
            states.append(after(states[0], change))
        there = found(folder)
        for name, states in possible.items():
            assert there.get(name) in states, (name, there.get(name), states)
        assert there.keys() <= possible.keys()
        self._states = there


def found(folder: Path) -> Dict[str, State]:
    """What the store has after a start, once that has tidied."""
    with closing(Store(folder, ENOUGH)) as store:
        tidied(store)
        states = {}
        for dataset in store.every():
            _, labels = store.labels(dataset.id, Page(0, 1000))
            there = entities_of(store, dataset.id)
            carried = Counter(label.name for entity in there for label in entity.labels)
            assert dataset.entities == len(there)
            assert {label.name: label.entities for label in labels if label.entities} == carried
            for entity in there:
                data = store.content(entity.digest).read_bytes()
                assert hashlib.sha256(data).hexdigest() == entity.digest
            states[dataset.name] = State(
                frozenset(label.name for label in labels),
                frozenset(
                    (entity.name, entity.digest, frozenset(label.name for label in entity.labels))
                    for entity in there
                ),
            )
    check_whole(folder)
    return states


def check_whole(folder: Path) -> None:
    """The tables agree with one another and with the files."""
    with closing(sqlite3.connect(folder / FILE)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        contents = dict(db.execute("SELECT digest, size FROM contents"))
        used = db.execute(
            "SELECT DISTINCT digest FROM contents JOIN entities ON content = contents.id"
        )
        assert {digest for (digest,) in used} == contents.keys()
        (total,) = db.execute("SELECT entities, bytes FROM total")
        assert total == (
            db.execute("SELECT COUNT(*) FROM entities").fetchone()[0],
            sum(contents.values()),
        )
    files = {path.name: path.stat().st_size for path in (folder / "contents").glob("*/*")}
    assert files == contents
    assert not list(folder.glob("[0-9]*.lock"))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
