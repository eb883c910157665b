"""The reader: a printed line of 32 pixels' height to its letters, by CTC."""

import math
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray
from paddle import nn

from . import photos, text_lines
from .averaging import Average
from .glyphs import Floats
from .nets import Residual, Tensor, conv_unit
from .pace import Pace
from .text_lines import CLASSES, HEIGHT, Example
from .writing import Rng

STRIDE = 2  # pixels to a step
_BUCKET = 32  # widths are trained in multiples of it
_COLUMNS = 1536  # of pixels in a batch
_SHAPES_ALONE = 0.2  # of the training: plain lines, and no CTC
_POOL = 6000  # examples kept for training; the oldest make room for new ones


class _Along(nn.Layer):
    """Looks along the line: letters beside a letter tell what it can be."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2D(channels, channels, (1, 5), padding=(0, 2), bias_attr=False),
            nn.BatchNorm2D(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Reader(nn.Layer):
    """[N,3,32,W] to logits [N,CLASSES,1,W/2]; W is a multiple of 4.

    A step for every two pixels: the thinnest letters are five wide, and the same letter twice
    wants a blank between.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_unit(3, 24, 3, 2),
            conv_unit(24, 48, 3, 2),
            Residual(48),
            _lower(48, 96),
            *[Residual(96) for _ in range(2)],
            _lower(96, 160),
            Residual(160),
            nn.Conv2D(160, 160, (2, 1), bias_attr=False),
            nn.BatchNorm2D(160),
            nn.ReLU(),
        )
        self.along = nn.Sequential(*[_Along(160) for _ in range(2)])
        self.finer = nn.Sequential(
            nn.Conv2DTranspose(160, 128, (1, 2), stride=(1, 2), bias_attr=False),
            nn.BatchNorm2D(128),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(0.1)
        self.score = nn.Conv2D(128, CLASSES, 1)

    def forward(self, lines: Tensor) -> Tensor:
        return self.score(self.dropout(self.finer(self.along(self.features(lines)))))


def _lower(cin: int, cout: int) -> nn.Sequential:
    """Halves the height alone."""
    return nn.Sequential(
        nn.Conv2D(cin, cout, 3, (2, 1), 1, bias_attr=False), nn.BatchNorm2D(cout), nn.ReLU()
    )


class DeployedReader(nn.Layer):
    """The reader as exported: probabilities [N,W/2,CLASSES]."""

    def __init__(self, net: Reader) -> None:
        super().__init__()
        self.net = net

    def forward(self, lines: Tensor) -> Tensor:
        steps = paddle.transpose(paddle.squeeze(self.net(lines), 2), [0, 2, 1])
        return F.softmax(steps, axis=2)


@dataclass(frozen=True)
class Plan:
    """How long to train: steps, and the part of each batch that is drawn anew."""

    steps: int = 8000
    fresh: float = 0.3
    rate: float = 3e-3
    seconds: float = math.inf

    def part(self, share: float) -> "Plan":
        return replace(self, steps=int(self.steps * share))


class Batch(NamedTuple):
    """`frames` [n,T] has each letter at the steps of its middle, and blanks."""

    images: Floats
    classes: NDArray[np.int32]
    steps: NDArray[np.int64]
    lengths: NDArray[np.int64]
    frames: NDArray[np.int64]


def normalised(lines: List[NDArray[np.uint8]], width: int) -> Floats:
    """BGR lines to [n,3,32,width], with zeros on the right."""
    blob = np.zeros((len(lines), 3, HEIGHT, width), np.float32)
    for row, line in zip(blob, lines):
        row[:, :, : line.shape[1]] = line.transpose(2, 0, 1) / np.float32(127.5) - 1
    return blob


def _mark(frames: NDArray[np.int64], one: Example) -> None:
    """Each letter at the step of its centre, and beside it where neighbours leave room."""
    at = np.clip(one.centres / STRIDE, 1, len(frames) - 2).astype(int)
    gaps = np.diff(at, prepend=-4, append=len(frames) + 4)
    roomy = (gaps[:-1] >= 4) & (gaps[1:] >= 4)
    for side in (-1, 1):
        frames[at[roomy] + side] = one.classes[roomy]
    frames[at] = one.classes


def _batch(examples: List[Example], width: int, rng: Rng) -> Batch:
    count, longest = len(examples), max(len(one.text) for one in examples)
    classes = np.zeros((count, longest), np.int32)
    frames = np.zeros((count, width // STRIDE), np.int64)
    images = []
    for i, one in enumerate(examples):
        classes[i, : len(one.text)] = one.classes
        _mark(frames[i], one)
        image = one.image if rng.random() < 0.8 else 255 - one.image
        images.append(image[..., rng.permutation(3)] if rng.random() < 0.3 else image)
    wide = np.array([one.image.shape[1] for one in examples])
    return Batch(
        normalised(images, width),
        classes,
        np.minimum(-(-wide // STRIDE) + 1, frames.shape[1]).astype(np.int64),
        np.array([len(one.text) for one in examples], np.int64),
        frames,
    )


def batches(plan: Plan, pace: Pace, rng: Rng) -> Iterator[Batch]:
    """Lines of about one width, each a few times and now and then in other colours, to the end."""
    backgrounds = photos.load_all(photos.TRAIN)
    pool = [text_lines.example(rng, backgrounds, plain=True) for _ in range(300)]
    due, step = 0.0, 0
    while pace.progress(step) < 1:
        plain = 1.0 if pace.progress(step) < _SHAPES_ALONE else 0.15
        anchor = pool[rng.integers(len(pool))]
        width = _BUCKET * -(-anchor.image.shape[1] // _BUCKET)
        fitting = [one for one in pool if width - 2 * _BUCKET < one.image.shape[1] <= width]
        count = min(max(3, _COLUMNS // width), 24)
        picks = [fitting[i] for i in rng.integers(len(fitting), size=count)]
        due += count * plan.fresh
        while due >= 1:
            pool.append(text_lines.example(rng, backgrounds, plain=bool(rng.random() < plain)))
            due -= 1
        pool = pool[-_POOL:]
        yield _batch(picks, width, rng)
        step += 1


def loss_of(net: Reader, batch: Batch, by_ctc: bool) -> Tuple[Tensor, float]:
    """What each step should say, and from some time on CTC; and the share of right letters.

    The first says where letters are, which CTC alone takes long to find out.
    """
    logits = paddle.squeeze(net(paddle.to_tensor(batch.images)), 2)
    frames = paddle.to_tensor(batch.frames)
    weights = (0.2 if by_ctc else 0.05) + paddle.cast(frames > 0, "float32")
    said = F.cross_entropy(paddle.transpose(logits, [0, 2, 1]), frames, reduction="none", axis=-1)
    loss = (paddle.reshape(said, weights.shape) * weights).sum() / weights.sum()
    if by_ctc:
        loss = 0.3 * loss + F.ctc_loss(
            paddle.transpose(logits, [2, 0, 1]),
            paddle.to_tensor(batch.classes),
            paddle.to_tensor(batch.steps),
            paddle.to_tensor(batch.lengths),
        )
    asked = batch.frames > 0
    right = (logits.numpy().argmax(axis=1) == batch.frames)[asked].mean()
    return loss, float(right)


def train(
    plan: Plan, say: Callable[[str], None], keep: Optional[Path] = None, seed: int = 3
) -> Reader:
    """Weights go to the file `keep` from time to time, so that a run cut short is not lost."""
    paddle.seed(seed)
    cv2.setNumThreads(1)
    net = Reader()
    optimiser = paddle.optimizer.AdamW(
        plan.rate,
        parameters=net.parameters(),
        weight_decay=0.01,
        grad_clip=nn.ClipGradByGlobalNorm(5.0),
    )
    average = Average(net)
    pace, lines, shares = Pace(plan.steps, plan.seconds), 0, deque([0.0], maxlen=100)
    for step, batch in enumerate(batches(plan, pace, np.random.default_rng(seed))):
        optimiser.set_lr(pace.rate(step, plan.rate))
        loss, right = loss_of(net, batch, pace.progress(step) > _SHAPES_ALONE)
        loss.backward()
        optimiser.step()
        optimiser.clear_grad()
        average.update(net)
        lines += len(batch.images)
        shares.append(right)
        if step % 50 == 49:
            done = f"step {step + 1}/{plan.steps}, {lines} lines, loss {float(loss):.2f}"
            say(f"{done}, letters right {np.mean(shares):.3f}, {pace.elapsed():.0f} s")
        if keep and step % 100 == 99:
            paddle.save(average.state(), str(keep))
    average.copy_to(net)
    return net
