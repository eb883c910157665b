"""How well print is found and read: the reader alone, and both parts through the service."""

import asyncio
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, NamedTuple, Sequence

import cv2
import numpy as np

from . import photos, text_lines, text_lite, text_scenes
from .glyphs import Floats
from .text_scenes import Scene

FRAME = (480, 640)
_OVERLAP = 0.5


class Reading(NamedTuple):
    """Shares of what was asked; `ms` for one line."""

    letters: float
    lines: float
    ms: float


def letters_off(said: str, truth: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(truth) + 1))
    for i, one in enumerate(said, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(truth, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (one != other))
    return row[-1]


def reader(folder: Path, count: int, held_out_fonts: bool) -> Reading:
    """On lines over held-out photographs, cut out about as a detector would."""
    rng = np.random.default_rng(99)
    backgrounds = photos.load_all(photos.HELD_OUT)
    lines = [text_lines.example(rng, backgrounds, held_out_fonts) for _ in range(count)]
    texts, ms = text_lite.read(folder, [line.image for line in lines])
    off = [letters_off(said, line.text) for said, line in zip(texts, lines)]
    letters = sum(len(line.text) for line in lines)
    return Reading(1 - sum(off) / letters, float(np.mean([o == 0 for o in off])), ms)


@dataclass
class Served:
    """Counts over scenes: lines asked for, boxes given, boxes that are right, lines read whole."""

    asked: int = 0
    given: int = 0
    found: int = 0
    whole: int = 0
    letters: int = 0
    off: int = 0

    def __str__(self) -> str:
        return (
            f"{self.asked} lines: precision {self.found / max(self.given, 1):.3f}, "
            f"recall {self.found / self.asked:.3f}; {self.whole / self.asked:.3f} read whole; "
            f"of the letters in found lines {1 - self.off / max(self.letters, 1):.3f} right"
        )


class Answer(NamedTuple):
    text: str
    quad: Floats


def overlap(one: Floats, other: Floats) -> float:
    """Intersection over union of two convex quads."""
    common, _ = cv2.intersectConvexConvex(one, other)
    areas = cv2.contourArea(one) + cv2.contourArea(other)
    return float(common / max(areas - common, 1e-6))


def tally(total: Served, scene: Scene, answers: Sequence[Answer]) -> None:
    """Adds a scene. A box on a line that is not asked for is neither right nor wrong."""
    total.asked += int(scene.counts.sum())
    free = set(range(len(scene.spots)))
    for answer in answers:
        overlaps = {i: overlap(answer.quad, scene.spots[i].quad) for i in free}
        best = max(overlaps, key=lambda i: overlaps[i], default=-1)
        hit = best >= 0 and overlaps[best] >= _OVERLAP
        if best >= 0 and overlaps[best] > 0.1 and not scene.counts[best]:
            continue
        total.given += 1
        if not hit:
            continue
        free.discard(best)
        truth = scene.spots[best].text
        total.found += 1
        total.whole += answer.text == truth
        total.letters += len(truth)
        total.off += letters_off(answer.text, truth)


@contextmanager
def _serving(models: Path) -> Iterator[str]:
    """The address of a daemon with these models."""
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "edged", "serve", "--listen=127.0.0.1:0"]
        command += ["--deadline=60", "--run-timeout=60", f"--models={models}", f"--state={state}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
            try:
                announced = re.search(r"on (http://\S+:\d+)", daemon.stdout.readline())
                yield announced.group(1)
            finally:
                daemon.terminate()


def through_service(
    folder: Path, mid: int, count: int, held_out_fonts: bool = True, training_photos: bool = False
) -> Served:
    """Scenes as JPEG to a daemon that serves the folder."""
    from edged import client

    rng = np.random.default_rng(55)
    paths = photos.TRAIN if training_photos else photos.HELD_OUT
    backgrounds = photos.load_all(tuple(path for path in paths if path not in photos.LETTERED))
    total = Served()
    with _serving(folder.parent) as url:
        for _ in range(count):
            scene = text_scenes.compose(rng, backgrounds, FRAME, held_out_fonts)
            _, data = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, 92])
            results, _ = asyncio.run(client.predict(url, mid, data.tobytes(), False))
            answers = [
                Answer(one.label, np.array(one.extended["quad"], np.float32)) for one in results
            ]
            tally(total, scene, answers)
    return total
