"""Work that is made ready on a second thread.

cv2 and simplejpeg release the GIL, and a decode that has begun goes on although the engine's
`run` holds it, so the next picture is decoded while one runs. What comes during a run is only
begun behind it: that is why the daemon sends three requests at a time, the third is there when
a run ends.
"""

from __future__ import annotations

import queue
import threading
from typing import Iterator, NamedTuple, TypeVar, Union

Item = TypeVar("Item")


class _Raised(NamedTuple):
    error: BaseException


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """What `items` gives, each taken before it is asked for, and raises what that raises."""
    made: queue.SimpleQueue[Union[Item, _Raised]] = queue.SimpleQueue()

    def make() -> None:
        try:
            for item in items:
                made.put(item)
        except BaseException as error:
            made.put(_Raised(error))

    threading.Thread(target=make, daemon=True).start()
    while True:
        item = made.get()
        if isinstance(item, _Raised):
            raise item.error
        yield item
