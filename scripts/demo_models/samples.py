"""The picture that goes with each model, and the answer that the model gave to it."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Sequence

import cv2
import numpy as np
import yaml

from . import conditions, fonts, lite, photos, printing, scenes, writing
from .glyphs import Glyph
from .photos import Picture

COFFEE = "skimage/data/coffee.png"
FRAME = (480, 640)
LINES = ("20261", "3407", "5 896", "12 78")
# (text, a part of the font's file name, pixels to the em, x, y)
CARD = (
    ("Corner Coffee", "Vollkorn-Bold.", 44, 34, 22),
    ("Receipt No. 4711-B", "PTM55", 21, 36, 92),
    ("2026-11-20  08:45", "PTM55", 21, 36, 122),
    ("2 x Espresso", "Inter-Medium.", 24, 36, 172),
    ("$ 5.80", "Inter-Medium.", 24, 300, 172),
    ("Croissant", "Inter-Medium.", 24, 36, 210),
    ("$ 3.25", "Inter-Medium.", 24, 300, 210),
    ("Total", "Inter-Bold.", 28, 36, 262),
    ("$ 9.05", "Inter-Bold.", 28, 290, 262),
    ("Thank you & see you soon!", "CharisSIL-Italic", 26, 36, 322),
)


def digits_scene(scanned: Sequence[Glyph], seed: int = 4) -> Picture:
    """A sheet with rows of held-out digits on a café table."""
    rng = np.random.default_rng(seed)
    table = cv2.resize(photos.load(COFFEE), FRAME[::-1], interpolation=cv2.INTER_LINEAR).astype(
        np.float32
    )
    sheet = np.full((380, 420, 3), (232, 240, 243), np.float32)
    sheet += (writing.soft_field(rng, 380, 420, 40) - 0.5)[..., None] * 8
    for y in range(40, 380, 40):
        cv2.line(sheet, (0, y), (420, y), (225, 205, 190), 1, cv2.LINE_AA)
    corners = np.array([[60, 62], [486, 34], [520, 428], [38, 446]], np.float32)
    flat = np.array([[0, 0], [420, 0], [420, 380], [0, 380]], np.float32)
    surface = writing.Surface(
        sheet, cv2.getPerspectiveTransform(flat, corners).astype(np.float64), False
    )
    ink = np.array([105, 45, 25], np.float32)
    for row, line in enumerate(LINES):
        for column, character in enumerate(line):
            if character == " ":
                continue
            same = [
                glyph for glyph in scanned if glyph.thin and glyph.label == int(character)
            ]  # one pen: the thinned ones
            size = 62 + rng.uniform(-5, 5)
            place = (
                36 + column * 68 + rng.uniform(-5, 5),
                14 + row * 86 + rng.uniform(-4, 4),
                size * 0.85,
                size,
            )
            writing.write(
                rng,
                surface,
                same[rng.integers(len(same))],
                place,
                (rng.uniform(2.6, 3.2), ink),
                FRAME,
            )
    scenes.lay(table, surface)
    light = 1.05 - 0.3 * writing.soft_field(rng, *FRAME, 3)
    picture = cv2.GaussianBlur(table * light[..., None], (0, 0), 0.8) + rng.normal(
        0, 3, (*FRAME, 1)
    )
    return np.clip(picture, 0, 255).astype(np.uint8)


def text_scene(seed: int = 6) -> Picture:
    """A receipt in held-out fonts on the café table."""
    rng = np.random.default_rng(seed)
    table = cv2.resize(photos.load(COFFEE), FRAME[::-1], interpolation=cv2.INTER_LINEAR).astype(
        np.float32
    )
    sheet = np.full((380, 420, 3), (236, 241, 243), np.float32)
    sheet += (writing.soft_field(rng, 380, 420, 40) - 0.5)[..., None] * 8
    cv2.line(sheet, (36, 246), (384, 246), (120, 120, 120), 1, cv2.LINE_AA)
    files = [path for family in fonts.families(held_out=True) for path in family.files]
    for text, name, size, x, y in CARD:
        line = printing.typeset(text, next(path for path in files if name in path), size)
        top, left = y - int(line.box[1]), x - int(line.box[0])
        part = sheet[max(top, 0) :, left:][: len(line.mask) + min(top, 0), : line.mask.shape[1]]
        mask = line.mask[max(-top, 0) :][: part.shape[0], : part.shape[1], None]
        part += (np.array([52, 42, 40], np.float32) - part) * mask
    corners = np.array([[84, 60], [540, 36], [566, 426], [70, 444]], np.float32)
    flat = np.array([[0, 0], [420, 0], [420, 380], [0, 380]], np.float32)
    to_frame = cv2.getPerspectiveTransform(flat, corners).astype(np.float64)
    scenes.lay(table, writing.Surface(sheet, to_frame))
    light = 1.05 - 0.3 * writing.soft_field(rng, *FRAME, 3)
    picture = cv2.GaussianBlur(table * light[..., None], (0, 0), 0.6)
    return np.clip(picture + rng.normal(0, 3, (*FRAME, 1)), 0, 255).astype(np.uint8)


def blurred_scene(seed: int = 5) -> Picture:
    """The café table through a lens out of focus."""
    rng = np.random.default_rng(seed)
    table = cv2.resize(photos.load(COFFEE), (720, 480), interpolation=cv2.INTER_CUBIC)
    blurred = cv2.GaussianBlur(table, (0, 0), 9.0).astype(np.float32)
    return np.clip(blurred + rng.normal(0, 2, table.shape), 0, 255).astype(np.uint8)


def _row(index: int, label: str, score: float, corners: Sequence[float]) -> Dict[str, Any]:
    x1, y1, x2, y2 = (round(float(c), 2) for c in corners)
    box = {"left": x1, "top": y1, "width": round(x2 - x1, 2), "height": round(y2 - y1, 2)}
    return {"index": index, "label": label, "score": round(float(score), 4), "location": box}


def _store(folder: Path, picture: Picture) -> Picture:
    """Writes sample.jpg and gives back what a reader of it sees."""
    path = str(folder / "sample.jpg")
    cv2.imwrite(path, picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return np.asarray(cv2.imread(path), np.uint8)


def _answer(folder: Path, rows: List[Dict[str, Any]]) -> None:
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    (folder / "sample.json").write_text(f'{{"result": [\n  {lines}\n]}}\n', encoding="utf-8")


def detector_sample(
    folder: Path, picture: Picture, labels: Sequence[str], side: int, threshold: float
) -> None:
    """Rows over the threshold, best first, boxes clipped to the frame."""
    seen = _store(folder, picture)
    h, w = seen.shape[:2]
    small = np.asarray(cv2.resize(seen, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    rows = lite.run(folder, small[None], np.array([[side / h, side / w]], np.float32))[0][0]
    sure = rows[rows[:, 1] >= threshold]
    ordered = sure[np.argsort(-sure[:, 1], kind="stable")]
    clipped = np.clip(ordered[:, 2:], 0, [w, h, w, h])
    _answer(
        folder, [_row(int(r[0]), labels[int(r[0])], r[1], box) for r, box in zip(ordered, clipped)]
    )


def text_sample(folder: Path, picture: Picture) -> None:
    """Whatever the service answers, as docs/models.md has it."""
    _store(folder, picture)
    (folder / "sample.json").unlink(missing_ok=True)  # the service holds a model to its old answer
    mid = json.dumps(yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))["mid"])
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "edged", "predict", str(folder / "sample.jpg")]
        command += ["--mid", mid, "--json", "--models", str(folder.parent), "--state", state]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    _answer(folder, json.loads(said.stdout)["result"])


def classifier_sample(folder: Path, picture: Picture, labels: Sequence[str]) -> None:
    """The five best classes, each with the whole frame."""
    seen = _store(folder, picture)
    h, w = seen.shape[:2]
    scores = lite.run(folder, conditions.as_input(seen)[None])[0][0].reshape(-1)
    best = np.argsort(-scores, kind="stable")[:5]
    _answer(folder, [_row(int(i), labels[i], scores[i], (0, 0, w, h)) for i in best])
