"""The text detector: a picture to a map of the kernels of its lines, by DB's way of telling them.

A kernel is a line shrunk so far that the service's "unclip" grows it to the line again.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from . import photos, text_scenes
from .averaging import Average
from .glyphs import Floats
from .nets import Residual, Tensor, conv_unit, stage
from .pace import Pace
from .photos import Picture
from .pixels import MEAN, STD
from .text_scenes import Scene
from .writing import Rng

UNCLIP = 1.5
SIDE = 256
_POOL = 1000  # scenes kept for training; the oldest make room for new ones
_NECK, _FINE = 40, 16


class TextDetector(nn.Layer):
    """[N,3,H,W] to logits [N,1,H,W]; both sides are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_unit(3, 12, 3, 2), conv_unit(12, 32, 3, 2))
        self.stage4 = Residual(32)
        self.stage8 = nn.Sequential(conv_unit(32, 64, 3, 2), *[Residual(64) for _ in range(2)])
        self.stage16 = stage(64, 112, 3)
        self.stage32 = stage(112, 144, 2)
        self.lateral = nn.LayerList([conv_unit(c, _NECK, 1) for c in (32, 64, 112, 144)])
        self.smooth = nn.LayerList([Residual(_NECK) for _ in range(3)])
        self.fine = conv_unit(_NECK, _FINE)
        self.finer = nn.Sequential(
            nn.Conv2DTranspose(_FINE, _FINE // 2, 2, stride=2, bias_attr=False),
            nn.BatchNorm2D(_FINE // 2),
            nn.ReLU(),
        )
        # Scores start near 0.05, as for the digits.
        self.score = nn.Conv2DTranspose(
            _FINE // 2, 1, 2, stride=2, bias_attr=nn.initializer.Constant(-3.0)
        )

    def forward(self, image: Tensor) -> Tensor:
        c4 = self.stage4(self.stem(image))
        c8 = self.stage8(c4)
        c16 = self.stage16(c8)
        x = self.lateral[3](self.stage32(c16))
        for i, finer in ((2, c16), (1, c8), (0, c4)):
            x = self.smooth[i](
                self.lateral[i](finer) + F.interpolate(x, scale_factor=2, mode="nearest")
            )
        return self.score(self.finer(self.fine(x)))


class DeployedTextDetector(nn.Layer):
    """The detector as exported: probabilities [N,1,H,W]."""

    def __init__(self, net: TextDetector) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return F.sigmoid(self.net(image))


@dataclass(frozen=True)
class Plan:
    """How long to train: steps, pictures a step, new scenes drawn for each step."""

    steps: int = 2500
    batch: int = 6
    fresh: int = 3
    rate: float = 2e-3
    seconds: float = math.inf

    def part(self, share: float) -> "Plan":
        return replace(self, steps=int(self.steps * share))


def kernel(quad: Floats, unclip: float = UNCLIP) -> Floats:
    """The quad [4,2] that grows to `quad` when its sides move out by area * unclip / perimeter."""
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    wide, high = max((sides[0] + sides[2]) / 2, 1.0), max((sides[1] + sides[3]) / 2, 1.0)
    # (wide - 2d)(high - 2d) * unclip = d * 2(wide - 2d + high - 2d), solved for d.
    both, square = (unclip + 1) * (wide + high), 4 * unclip + 8
    inset = (both - np.sqrt(both**2 - square * unclip * wide * high)) / square
    u, v = inset / wide, inset / high
    parts = np.array([[u, v], [1 - u, v], [1 - u, 1 - v], [u, 1 - v]])
    across, down = parts[:, :1], parts[:, 1:]
    upper, lower = quad[0] + (quad[1] - quad[0]) * across, quad[3] + (quad[2] - quad[3]) * across
    return np.asarray(upper + (lower - upper) * down, np.float32)


class Example(NamedTuple):
    """`kernels` [h,w] is 1 inside of them; `asked` [h,w] is 0 where nobody could say."""

    image: Picture
    kernels: Picture
    asked: Picture


def targets(scene: Scene) -> Example:
    kernels = np.zeros(scene.image.shape[:2], np.uint8)
    asked = np.ones_like(kernels)
    for spot in scene.spots:
        if text_scenes.height_of(spot.quad) < text_scenes.SMALLEST:
            cv2.fillConvexPoly(asked, np.rint(spot.quad).astype(np.int32), 0)
        points = np.rint((kernel(spot.quad) - 0.5) * 16).astype(np.int32)
        cv2.fillConvexPoly(kernels, points, 1, cv2.LINE_8, 4)
    return Example(scene.image, kernels, asked)


def normalised(pictures: List[Picture]) -> Floats:
    """BGR pictures of one size to [n,3,h,w]; the means of R, G, B meet B, G, R, as PaddleOCR's."""
    blob = np.stack(pictures).transpose(0, 3, 1, 2) / np.float32(255)
    return np.asarray((blob - MEAN[:, None, None]) / STD[:, None, None], np.float32)


def batches(plan: Plan, rng: Rng) -> Iterator[Tuple[Floats, Floats, Floats]]:
    """Endless: pictures [n,3,h,w], kernels and what is asked [n,1,h,w]."""
    paths = tuple(path for path in photos.TRAIN if path not in photos.LETTERED)
    backgrounds = photos.load_all(paths)

    def draw() -> Example:
        return targets(text_scenes.compose(rng, backgrounds, (SIDE, SIDE)))

    pool = [draw() for _ in range(60)]
    while True:
        pool = (pool + [draw() for _ in range(plan.fresh)])[-_POOL:]
        picks = [pool[i] for i in rng.integers(len(pool), size=plan.batch)]
        images = normalised([one.image[..., rng.permutation(3)] for one in picks])
        kernels, asked = (
            np.stack([one[part] for one in picks])[:, None].astype(np.float32) for part in (1, 2)
        )
        if rng.random() < 0.15:  # the service fills what a picture leaves of its canvas with zeros
            right, below = rng.integers(SIDE // 2, SIDE + 1, 2)
            for maps in (images, kernels):
                maps[..., right:] = 0
                maps[..., below:, :] = 0
        yield images, kernels, asked


def loss_of(net: TextDetector, images: Floats, kernels: Floats, asked: Floats) -> Tensor:
    """Dice, for whole lines, and cross-entropy, for edges and for scores that mean something."""
    logits = net(paddle.to_tensor(images))
    truth, mask = paddle.to_tensor(kernels), paddle.to_tensor(asked)
    said = F.sigmoid(logits) * mask
    truth = truth * mask
    dice = 1 - (2 * (said * truth).sum() + 1) / (said.sum() + truth.sum() + 1)
    edges = F.binary_cross_entropy_with_logits(logits, truth, weight=mask)
    return dice + 4 * edges


def train(
    plan: Plan, say: Callable[[str], None], keep: Optional[Path] = None, seed: int = 4
) -> TextDetector:
    """Weights go to the file `keep` from time to time, so that a run cut short is not lost."""
    paddle.seed(seed)
    cv2.setNumThreads(1)
    net = TextDetector()
    optimiser = paddle.optimizer.AdamW(plan.rate, parameters=net.parameters(), weight_decay=0.02)
    average = Average(net, 0.995)
    pace, recent = Pace(plan.steps, plan.seconds), 1.5
    for step, (images, kernels, asked) in enumerate(batches(plan, np.random.default_rng(seed))):
        progress = pace.progress(step)
        if progress == 1:
            break
        optimiser.set_lr(pace.rate(step, plan.rate))
        loss = loss_of(net, images, kernels, asked)
        loss.backward()
        optimiser.step()
        optimiser.clear_grad()
        average.update(net)
        recent += 0.02 * (float(loss) - recent)
        if step % 25 == 24:
            say(f"step {step + 1}/{plan.steps}, loss {recent:.3f}, {pace.elapsed():.0f} s")
        if keep and step % 100 == 99:
            paddle.save(average.state(), str(keep))
    average.copy_to(net)
    return net
