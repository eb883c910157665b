"""Work that is made ready on a second thread.

cv2 and simplejpeg release the GIL, and a decode that has begun goes on although the engine's
`run` holds it, so the next picture is decoded while one runs.
"""

from __future__ import annotations

import queue
import threading
from typing import Iterator, NamedTuple, Optional, TypeVar, Union

Item = TypeVar("Item")


class _End(NamedTuple):
    error: Optional[BaseException]


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """What `items` gives, taken before it is asked for, and raises what that raises behind it.

    As many as there are: the daemon bounds what a worker is sent.
    """
    made: queue.SimpleQueue[Union[Item, _End]] = queue.SimpleQueue()

    def make() -> None:
        error: Optional[BaseException] = None
        try:
            for item in items:
                made.put(item)
                del item  # it is not to be kept while the next is made
        except BaseException as raised:  # whatever it is, it is raised where it is waited for
            error = raised
        made.put(_End(error))

    threading.Thread(target=make, daemon=True).start()
    while True:
        item = made.get()
        if not isinstance(item, _End):
            yield item
            del item  # nor while the next is waited for
        elif item.error is not None:
            raise item.error
        else:
            return
