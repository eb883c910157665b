"""Work made ready on a second thread."""

from __future__ import annotations

import threading
import weakref
from typing import Iterator, List

import pytest

from edged.worker.ahead import ahead
from tests.support import wait_for


class Picture:
    """Anything that a weak reference can be made to."""


def test_all_come_in_their_order() -> None:
    assert list(ahead(iter(range(1000)))) == list(range(1000))
    assert list(ahead(iter(()))) == []


def test_they_are_made_on_another_thread_before_they_are_asked_for() -> None:
    made = threading.Event()
    threads: List[int] = []

    def items() -> Iterator[int]:
        threads.append(threading.get_ident())
        yield 1
        made.set()
        yield 2

    taken = ahead(items())
    assert next(taken) == 1
    assert made.wait(20)
    assert next(taken) == 2
    assert threads != [threading.get_ident()]


@pytest.mark.parametrize("error", [EOFError, MemoryError, SystemExit])
def test_an_error_comes_behind_what_was_made_before_it(error: type) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise error

    taken = ahead(items())
    assert next(taken) == 1
    with pytest.raises(error):
        next(taken)


def test_what_was_used_is_not_kept_while_the_next_is_waited_for() -> None:
    """A picture of 40 megapixels takes 120 MB."""
    more = threading.Event()
    kept: List[weakref.ref[Picture]] = []

    def pictures() -> Iterator[Picture]:
        for _ in range(2):
            picture = Picture()
            kept.append(weakref.ref(picture))
            yield picture
            del picture
            assert more.wait(30)

    coming = ahead(pictures())
    used = next(coming)
    assert kept[0]() is used
    del used
    asking = threading.Thread(target=lambda: [None for _ in coming])
    asking.start()
    wait_for(lambda: kept[0]() is None)
    more.set()
    asking.join(30)
    assert len(kept) == 2
