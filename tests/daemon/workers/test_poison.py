"""A picture that crashes the model: named, kept and refused; nothing else is."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from pathlib import Path
from typing import Sequence

import cv2
import numpy as np

from edged.daemon.poison import Poison
from tests.daemon.processes import end_worker, stopped
from tests.daemon.workers.conftest import (
    MID,
    Asked,
    Serve,
    add_model,
    ask,
    ask_at_once,
    code_of,
    colour_of,
    counters_of,
    end,
    needs_lites_memory,
    no_new_worker,
    picture,
    poison_of,
    served_from,
    workers_of,
)
from tests.support import RunningDaemon, wait_for

OWN_DOING = [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE]


def ask_and_end(daemon: RunningDaemon, image: bytes, ends: Sequence[int]) -> Asked:
    """A request whose worker ends by the first of the signals, and so on."""
    pids = workers_of(daemon, 2)
    with stopped(*pids):
        asked = ask(daemon, image)
        for pid, number in zip(pids, ends):
            end_worker(daemon, pid, number)
    return asked


def models_with_a_sample(tmp_path: Path) -> Path:
    """A worker that comes after one that died answers the sample: no pauses, then."""
    add_model(tmp_path / "models", instances=2, sample="red")
    return tmp_path / "models"


def test_it_is_refused_from_then_on(serve: Serve, tmp_path: Path) -> None:
    models = models_with_a_sample(tmp_path)
    daemon = serve(models)
    images = [picture("red", number) for number in OWN_DOING]
    for number, image in zip(OWN_DOING, images):
        answer = ask_and_end(daemon, image, [number, signal.SIGSEGV]).answer()
        assert (answer.status, code_of(answer)) == (500, 336000)
        assert colour_of(ask_at_once(daemon, picture("red"))) == "red"
    refused, pids = counters_of(daemon)["refused"], workers_of(daemon, 2)
    for image in images:
        answer = ask_at_once(daemon, image)
        assert (answer.status, code_of(answer)) == (500, 336000)
        assert "crashed the model" in answer.json["msg"]
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"
    assert (counters_of(daemon)["refused"], workers_of(daemon, 2)) == (refused + 5, pids)

    wait_for(lambda: sorted(poison_of(tmp_path)) == sorted(images))
    folder = tmp_path / "state" / "poison" / str(MID) / served_from(models / "colour").name
    assert (folder / hashlib.sha256(images[0]).hexdigest()).read_bytes() == images[0]
    end(daemon)
    daemon = serve(models)
    assert [code_of(ask_at_once(daemon, image)) for image in images] == [336000] * 5
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"


def test_one_crash_is_not_enough(serve: Serve, two_workers: Path, tmp_path: Path) -> None:
    """The worker may have been ill before, and one that is killed has not crashed."""
    kill, crash = signal.SIGKILL, signal.SIGSEGV
    daemon = serve(two_workers)
    for ends in ([kill, kill], [kill, crash], [crash, kill], [crash]):
        assert colour_of(ask_and_end(daemon, picture("blue"), ends).answer()) == "blue"
    assert poison_of(tmp_path) == []


def test_who_was_in_the_same_worker_is_answered(
    serve: Serve, two_workers: Path, tmp_path: Path
) -> None:
    daemon = serve(two_workers)
    first, second = workers_of(daemon, 2)
    with stopped(first, second), no_new_worker(daemon, two_workers / "colour"):
        # They go to the workers in turn.
        bad, _, innocent, _ = [ask(daemon, picture("green", n)) for n in range(4)]
        end_worker(daemon, first, signal.SIGSEGV)
        end_worker(daemon, second, signal.SIGKILL)
    assert [colour_of(one.answer()) for one in (bad, innocent)] == ["green"] * 2
    assert poison_of(tmp_path) == []


def test_copies_of_it_are_refused_with_it(serve: Serve, two_workers: Path, tmp_path: Path) -> None:
    """Or every impatient copy of a client's picture would cost two workers."""
    bad = slow_picture()
    daemon = serve(two_workers)
    first, second = workers_of(daemon, 2)
    with stopped(first, second), no_new_worker(daemon, two_workers / "colour"):
        asked = [ask(daemon, image) for image in (bad, picture("red"), bad, picture("red", 1))]
        asked += [ask(daemon, bad), ask(daemon, picture("red", 2))]
        end_worker(daemon, first, signal.SIGSEGV)
        os.kill(second, signal.SIGCONT)
        # The other has it to itself as soon as it has answered its own three.
        assert colour_of(asked[5].answer()) == "red"
        time.sleep(0.05)
        os.kill(second, signal.SIGSEGV)
        assert [code_of(asked[copy].answer()) for copy in (0, 2, 4)] == [336000] * 3
    assert [colour_of(asked[other].answer()) for other in (1, 3)] == ["red"] * 2
    wait_for(lambda: poison_of(tmp_path) == [bad])


def slow_picture() -> bytes:
    """A small file that takes half a second to decode."""
    pixels = np.full((6000, 6000, 3), 200, np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def test_a_series_of_them_does_not_fail_the_model(serve: Serve, tmp_path: Path) -> None:
    """Not one that answers its sample: frames of a camera come with the same fault for hours."""
    daemon = serve(models_with_a_sample(tmp_path))
    for number in range(6):
        answer = ask_and_end(daemon, picture("red", number), [signal.SIGSEGV] * 2).answer()
        assert code_of(answer) == 336000
    assert colour_of(ask_at_once(daemon, picture("red", 6))) == "red"


@needs_lites_memory
def test_its_own_rlimit(serve: Serve, two_workers: Path, tmp_path: Path) -> None:
    """A picture that does not fit into the model's memory is as bad as a crash."""
    daemon = serve(two_workers, memory_mib=64)
    pixels = np.full((6000, 6000, 3), 200, np.uint8)
    bad = cv2.imencode(".jpg", pixels)[1].tobytes()
    answer = ask_at_once(daemon, bad)
    assert (answer.status, code_of(answer)) == (500, 336000)
    wait_for(lambda: poison_of(tmp_path) == [bad])
    assert "memory_mib" in daemon.log()
    assert colour_of(ask_at_once(daemon, picture("red"))) == "red"


def test_of_a_long_series_only_the_last_are_kept(tmp_path: Path) -> None:
    """A camera whose scene crashes the model would fill the disk."""

    async def add(count: int) -> Poison:
        poison = Poison(tmp_path)
        await poison.load()
        for number in range(count):
            await poison.add(b"%d" % number)
        return poison

    asyncio.run(add(150))
    poison = asyncio.run(add(0))
    assert len(list(tmp_path.iterdir())) == 100
    assert b"149" in poison
    assert b"50" in poison
    assert b"49" not in poison
