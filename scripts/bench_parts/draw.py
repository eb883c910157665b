"""Milliseconds that drawing an answer and encoding the picture take, with no server around.

    python -m scripts.bench_parts.draw PICTURE TASK RESULTS COUNT

RESULTS is edged's answer as JSON; prints the median of COUNT.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import List

import cv2
import msgspec

from edged.results import Result
from edged.worker.decode import decode
from edged.worker.process import keep_freed_memory
from edged.worker.render import draw, encode_jpeg


def main(picture: str, task: str, answer: str, count: str) -> None:
    keep_freed_memory()
    cv2.setNumThreads(1)
    results = msgspec.json.decode(answer, type=List[Result])
    pixels = decode(Path(picture).read_bytes())
    spent = []
    for _ in range(int(count)):
        copy = pixels.copy()
        began = time.perf_counter()
        draw(copy, results, task)
        encode_jpeg(copy)
        spent.append((time.perf_counter() - began) * 1000)
    print(statistics.median(spent))


if __name__ == "__main__":
    main(*sys.argv[1:])
