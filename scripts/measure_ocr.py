"""What the widths and batches of text recognition cost, and what they read, as a table.

    .venv/bin/python scripts/measure_ocr.py MODEL [ROUNDS]

MODEL is the folder of an OCR model. Pages of known lines are drawn and read with every
way to size the lines, each in a process of its own, in turns, so that what else the
machine does falls on all of them. Seconds are those of the processor, the best of ROUNDS.
"""

from __future__ import annotations

import importlib.util
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

ROOT = Path(__file__).resolve().parent.parent
ENGINES = ("paddlelite", "paddle")
WORDS = ("Surrey", "invoice", "gross weight", "Total", "delivery", "HELLO", "board 7", "camera")


class Way(NamedTuple):
    """Widths that lines are brought to, and pixels across of all lines in one run."""

    widths: Tuple[int, ...]
    columns: int


WAYS = (
    Way((1280,), 1),
    Way((320, 640, 1280), 1),
    Way((320, 448, 640, 1280), 1),
    Way((320, 448, 640, 1280), 640),
    Way((320, 448, 640, 1280), 1280),
    Way((320, 448, 640, 896, 1280), 640),
)


class Page(NamedTuple):
    """Its lines from above, `longest` words in each at most."""

    name: str
    lines: int
    longest: int
    size: float

    @property
    def texts(self) -> List[str]:
        chance = random.Random(self.lines)
        return [
            " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, self.longest)))
            for _ in range(self.lines)
        ]


PAGES = (Page("60 short lines", 60, 2, 0.7), Page("30 lines of any length", 30, 8, 0.8))


def child(folder: str, engine: str, cache: str, widths: str, columns: str) -> None:
    """Reads the numbers of pages from stdin; answers seconds, MB and the texts of each."""
    sys.path.insert(0, str(ROOT))
    import cv2
    import numpy as np

    from edged.registry.entry import look
    from edged.wire import EngineOptions, PredictOptions
    from edged.worker.clock import Clock
    from edged.worker.decode import whole
    from edged.worker.engines import loader
    from edged.worker.ocr import networks
    from edged.worker.process import keep_freed_memory
    from edged.worker.tasks.ocr import Ocr

    keep_freed_memory()
    networks._LINE_WIDTHS = tuple(json.loads(widths))
    networks._MOST_COLUMNS = int(columns)
    spec = look(Path(folder)).spec
    assert spec is not None
    options = EngineOptions(engine, cache, threads=1, power_mode="high")
    task = Ocr(spec, loader(options))
    pictures = []
    for page in PAGES:
        picture = np.full((60 + 50 * page.lines, 1200, 3), 245, np.uint8)
        for number, text in enumerate(page.texts):
            place = (30, 60 + 50 * number)
            cv2.putText(picture, text, place, 0, page.size, (10, 10, 10), 2, cv2.LINE_AA)
        pictures.append(picture)
    for line in sys.stdin:
        began = time.process_time()
        results = task.predict(whole(pictures[int(line)]), PredictOptions(), Clock())
        seconds = time.process_time() - began
        rollup = Path("/proc/self/smaps_rollup").read_text()
        (kilobytes,) = re.findall(r"^Rss:\s+(\d+) kB", rollup, re.MULTILINE)
        texts = [result.label for result in results]
        print(json.dumps([seconds, int(kilobytes) / 1024, texts]), flush=True)


def measure(folder: str, engine: str, cache: str, rounds: int) -> None:
    processes = {}
    for way in WAYS:
        command = [sys.executable, __file__, "child", folder, engine, cache]
        command += [json.dumps(way.widths), str(way.columns)]
        processes[way] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    best: Dict[Tuple[Way, Page], float] = {}
    right: Dict[Tuple[Way, Page], int] = {}
    memory: Dict[Way, float] = {}
    for _ in range(rounds):
        for number, page in enumerate(PAGES):
            for way, process in processes.items():
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(f"{number}\n")
                process.stdin.flush()
                while not (line := process.stdout.readline()).startswith("["):
                    assert line, "the process has ended"
                seconds, memory[way], texts = json.loads(line)
                best[way, page] = min(best.get((way, page), seconds), seconds)
                right[way, page] = sum(text in texts for text in page.texts)
    for way, process in processes.items():
        process.communicate()
        figures = [f"{best[way, page]:.2f} | {right[way, page]} of {page.lines}" for page in PAGES]
        widths = ", ".join(map(str, way.widths))
        print(
            f"| {engine} | {widths} | {way.columns} | {' | '.join(figures)} | {memory[way]:.0f} |"
        )


def main() -> None:
    folder, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4
    names = " | ".join(f"s, {page.name} | right" for page in PAGES)
    print(f"| engine | widths | across in a run | {names} | MB |")
    print("|---|---|---|" + "---|" * (2 * len(PAGES) + 1), flush=True)
    with tempfile.TemporaryDirectory() as cache:
        for engine in ENGINES:
            if importlib.util.find_spec(engine) is not None:
                measure(folder, engine, cache, rounds)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        child(*sys.argv[2:])
    else:
        main()
