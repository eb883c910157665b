"""A loop in one process, naive or limit, that waits for orders: a JSON object a line.

    python -m scripts.bench_parts.loop naive|limit FOLDER serial|overlapped

`{"picture": PATH, "seconds": 2}` is answered by `{"count", "seconds", "median_ms"}`, and
with `"seconds": 0` by `{"answer"}`. `median_ms` is of the whole call for one picture.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List

from scripts.bench_parts.functions import Function, Whole, make


def serial(function: Function, jpeg: bytes, seconds: float) -> List[float]:
    """Seconds of each call."""
    spent: List[float] = []
    now = began = time.perf_counter()
    while now - began < seconds:
        function.infer(function.decode(jpeg))
        last, now = now, time.perf_counter()
        spent.append(now - last)
    return spent


def overlapped(function: Function, jpeg: bytes, seconds: float) -> List[float]:
    """As `serial`, with the next picture decoded on a second thread meanwhile."""
    spent: List[float] = []
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(function.decode, jpeg)
        now = began = time.perf_counter()
        while now - began < seconds:
            picture = coming.result()
            coming = pool.submit(function.decode, jpeg)
            function.infer(picture)
            last, now = now, time.perf_counter()
            spent.append(now - last)
    return spent


LOOPS = {"serial": serial, "overlapped": overlapped}


def main(name: str, folder: str, how: str) -> None:
    function = make(name, Path(folder))
    for line in sys.stdin:
        order: Dict[str, Any] = json.loads(line)
        jpeg = Path(order["picture"]).read_bytes()
        if order["seconds"]:
            spent = LOOPS[how](function, jpeg, order["seconds"])
            said: Dict[str, Any] = {
                "count": len(spent),
                "seconds": sum(spent),
                "median_ms": statistics.median(spent) * 1000,
            }
        else:
            said = {"answer": Whole(function)(jpeg)}
        # The engine prints to stdout too: what is ours begins a line of its own.
        print("\n" + json.dumps(said), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
