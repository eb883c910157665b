"""Reads lines as the service does: `python -m demo_models.text_lite FOLDER IN.npz OUT.json`.

In a process of its own, as `lite` is.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np

from .photos import Picture


def read(folder: Path, lines: Sequence[Picture]) -> Tuple[List[str], float]:
    """The texts of BGR lines [h,w,3] by Paddle Lite, and the median time of one in ms."""
    with tempfile.TemporaryDirectory() as scratch:
        given, answer = Path(scratch, "in.npz"), Path(scratch, "out.json")
        np.savez(given, *lines)
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-m", "demo_models.text_lite", str(folder)]
        subprocess.run(
            [*command, str(given), str(answer)],
            check=True,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        texts, ms = json.loads(answer.read_text())
        return texts, ms


def _main(folder: str, given: str, answer: str) -> None:
    from edged.registry.formats import paddleocr
    from edged.wire import EngineOptions
    from edged.worker.clock import Clock
    from edged.worker.engines import paddlelite
    from edged.worker.ocr.networks import Recognition

    reading = paddleocr.read(Path(folder)).reading
    with tempfile.TemporaryDirectory() as cache:
        options = EngineOptions(("paddlelite",), cache, 1, "no_bind")
        reader = Recognition(reading, lambda network: paddlelite.load(network, options))
        texts, times = [], []
        with np.load(given) as lines:
            for name in lines.files:
                line, started = lines[name], time.perf_counter()
                texts.append(reader.read(line, Clock()).text)
                times.append((time.perf_counter() - started) * 1e3)
    Path(answer).write_text(json.dumps([texts, float(np.median(times))]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
