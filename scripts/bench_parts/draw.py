"""Milliseconds that drawing an answer and encoding the picture take, with no server around: by
themselves, and in a loop that decodes and infers before.

    python -m scripts.bench_parts.draw PICTURE FOLDER RESULTS COUNT

RESULTS is edged's answer as JSON, FOLDER that of the model. Prints `{"alone", "in_loop"}`, medians
of COUNT; `in_loop` is what the whole of such a loop takes longer.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Callable, List

import cv2
import msgspec

from edged.results import Result
from edged.worker.process import keep_freed_memory
from edged.worker.render import draw, encode_jpeg
from scripts.bench_parts.functions import make
from scripts.bench_parts.models import spec_of


def main(picture: str, folder: str, answer: str, count: str) -> None:
    keep_freed_memory()
    cv2.setNumThreads(1)
    function, task = make("limit", Path(folder)), spec_of(Path(folder)).task
    results = msgspec.json.decode(answer, type=List[Result])
    jpeg = Path(picture).read_bytes()
    pixels = function.decode(jpeg)

    def alone() -> None:
        draw(pixels, results, task)
        encode_jpeg(pixels)

    def plain() -> None:
        function.infer(function.decode(jpeg))

    def drawn() -> None:
        shown = function.decode(jpeg)
        function.infer(shown)
        draw(shown, results, task)
        encode_jpeg(shown)

    spent = {call: _median(call, int(count)) for call in (alone, plain, drawn)}
    said = {"alone": spent[alone], "in_loop": spent[drawn] - spent[plain]}
    print("\n" + json.dumps(said))  # the engine prints too


def _median(call: Callable[[], None], count: int) -> float:
    """Milliseconds."""
    spent = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        spent.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent)


if __name__ == "__main__":
    main(*sys.argv[1:])
