"""Training and measuring the digit detector."""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Callable, Iterator, List, Sequence, Tuple

import cv2
import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray

from . import glyphs, hands, photos, scenes
from .averaging import Average
from .glyphs import Floats, Glyph
from .nets import Detector, decode, grid
from .pixels import normalised
from .scenes import Scene
from .writing import Draw, Rng

SIDE = 320
SHARD = 128  # scenes drawn in one go
WINDOW = 24  # shards kept for training; the oldest makes room for a new one
USES = 7  # times that a scene is seen per shard replaced
# Sides of the tiles that fill a training picture. Large pictures, because paddle's depthwise
# convolution on a CPU pays by picture and channel; small tiles, because scenes are mostly empty.
PATCH, TILE = 64, 160
UNSURE = -1  # the label of what counts as neither a digit nor background
# The longer side of a box, in pixels, that each stride looks for, with overlap between them.
RANGES = {8: (0.0, 46.0), 16: (32.0, 100.0), 32: (72.0, 1e9)}


@dataclass(frozen=True)
class Plan:
    """Steps on plain patches, on parts of scenes, on whole scenes; pictures a step."""

    patches: int = 300
    tiles: int = 2200
    whole: int = 300
    batch: int = 4
    rate: float = 3e-3

    @property
    def steps(self) -> int:
        return self.patches + self.tiles + self.whole

    def part(self, share: float) -> "Plan":
        patches, tiles, whole = (int(n * share) for n in (self.patches, self.tiles, self.whole))
        return replace(self, patches=patches, tiles=tiles, whole=whole)


def train_draw(scanned: List[Glyph]) -> Draw:
    def draw(rng: Rng) -> Glyph:
        if rng.random() < 0.6:
            return scanned[rng.integers(len(scanned))]
        return glyphs.written(rng, hands.TRAIN_HAND, int(rng.integers(10)))

    return draw


def held_out_draw(scanned: List[Glyph]) -> Draw:
    return lambda rng: scanned[rng.integers(len(scanned))]


def test_hand_draw(rng: Rng) -> Glyph:
    return glyphs.written(rng, hands.TEST_HAND, int(rng.integers(10)))


def draw_shard(seed: int) -> List[Scene]:
    """One shard of training scenes; runs in a process of its own."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([11, seed])
    draw = train_draw(glyphs.scanned()[0])
    pictures = photos.load_all(photos.TRAIN)
    return [scenes.compose(rng, pictures, draw) for _ in range(SHARD)]


def window(rng: Rng, scene: Scene, side: int) -> Scene:
    """A square part of a scene, mostly around a digit; a digit cut in two becomes UNSURE."""
    room = scene.image.shape[0] - side
    if room <= 0:
        return scene
    corner = rng.integers(0, room + 1, 2)
    if len(scene.boxes) and rng.random() < 0.75:
        box = scene.boxes[rng.integers(len(scene.boxes))]
        corner = np.clip((box[:2] + box[2:]) / 2 - side * rng.uniform(0.1, 0.9, 2), 0, room).astype(
            int
        )
    x, y = int(corner[0]), int(corner[1])
    moved = scene.boxes - np.array([x, y, x, y], np.float32)
    clipped = np.clip(moved, 0, side)
    share = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1) / np.prod(
        moved[:, 2:] - moved[:, :2], axis=1
    )
    labels = np.where(share < 0.9, UNSURE, scene.labels)
    keep = share > 0.1
    return Scene(scene.image[y : y + side, x : x + side], clipped[keep], labels[keep])


def mosaic(tiles: Sequence[Scene]) -> Scene:
    """A square number of tiles of one size as a single picture."""
    across = int(len(tiles) ** 0.5)
    side = tiles[0].image.shape[0]
    rows = [
        np.hstack([tile.image for tile in tiles[r * across : (r + 1) * across]])
        for r in range(across)
    ]
    corners = [
        np.array([i % across, i // across] * 2, np.float32) * side for i in range(len(tiles))
    ]
    boxes = np.concatenate([tile.boxes + corner for tile, corner in zip(tiles, corners)])
    return Scene(np.vstack(rows), boxes, np.concatenate([tile.labels for tile in tiles]))


def tinted(rng: Rng, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Another colour cast each time that a scene is used."""
    table = np.arange(256, dtype=np.float32)[:, None] * rng.uniform(0.8, 1.15, 3) + rng.uniform(
        -15, 15
    )
    lut = np.clip(table, 0, 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(image[..., rng.permutation(3)], lut), np.uint8)


def assign(
    scene: Scene, centres: Floats, strides: Floats, classes: int
) -> Tuple[Floats, Floats, Floats]:
    """Targets of one scene: class flags [P,classes], boxes [P,4], each cell's weight [P]."""
    cells = len(centres)
    flags = np.zeros((cells, classes), np.float32)
    boxes = np.zeros((cells, 4), np.float32)
    weights = np.ones(cells, np.float32)
    if not len(scene.boxes):
        return flags, boxes, weights
    size = scene.boxes[:, 2:] - scene.boxes[:, :2]
    away = np.abs(centres[None] - (scene.boxes[:, None, :2] + scene.boxes[:, None, 2:]) / 2)
    unsure = scene.labels == UNSURE
    weights[(away[unsure] < size[unsure, None] / 2 + strides / 2).all(axis=2).any(axis=0)] = 0
    bounds = np.array([RANGES[int(stride)] for stride in strides[:, 0]], np.float32)
    longest = size.max(axis=1)[:, None]
    near = (away < 1.3 * strides).all(axis=2) & (bounds[:, 0] <= longest) & (longest < bounds[:, 1])
    distance = np.where(near & ~unsure[:, None], np.square(away).sum(axis=2), np.inf)
    owner = distance.argmin(axis=0)
    mine = np.flatnonzero(np.isfinite(distance.min(axis=0)))
    flags[mine, scene.labels[owner[mine]]] = 1
    boxes[mine] = scene.boxes[owner[mine]]
    weights[mine] = 1
    return flags, boxes, weights


def _area(low: paddle.Tensor, high: paddle.Tensor) -> paddle.Tensor:
    size = high - low  # not prod(): its gradient is 0/0 where boxes only touch
    return size[:, 0] * size[:, 1]


def overlap(first: paddle.Tensor, second: paddle.Tensor) -> Tuple[paddle.Tensor, paddle.Tensor]:
    """IoU and generalised IoU of boxes [K,4], pair by pair."""
    low = paddle.maximum(first[:, :2], second[:, :2])
    common = _area(low, paddle.maximum(low, paddle.minimum(first[:, 2:], second[:, 2:])))
    union = _area(first[:, :2], first[:, 2:]) + _area(second[:, :2], second[:, 2:]) - common
    hull = _area(
        paddle.minimum(first[:, :2], second[:, :2]), paddle.maximum(first[:, 2:], second[:, 2:])
    )
    iou = common / (union + 1e-6)
    return iou, iou - (hull - union) / (hull + 1e-6)


def loss_of(
    net: Detector, batch: Sequence[Scene], centres: paddle.Tensor, strides: paddle.Tensor
) -> paddle.Tensor:
    """Cross entropy on the scores, GIoU on the boxes, per cell that has a digit.

    The score's target grows with the box's IoU, so that suppression keeps the best box, but starts
    at 0.4: otherwise the classes would wait until the boxes are good.
    """
    targets = [assign(s, centres.numpy(), strides.numpy(), net.classes) for s in batch]
    flags, boxes, weights = (np.stack(part) for part in zip(*targets))
    logits, offsets = net(paddle.to_tensor(normalised([s.image for s in batch])))
    wanted = flags.reshape(-1, net.classes)
    found = np.flatnonzero(wanted.any(axis=1))
    box_loss = paddle.zeros([])
    if len(found):
        # exp() of a wild offset early on would give infinite boxes and NaN from there on.
        decoded = decode(paddle.clip(offsets, -6.0, 6.0), centres, strides).reshape([-1, 4])
        iou, giou = overlap(
            paddle.gather(decoded, paddle.to_tensor(found)),
            paddle.to_tensor(boxes.reshape(-1, 4)[found]),
        )
        wanted[found] *= (0.4 + 0.6 * np.clip(iou.numpy(), 0, 1))[:, None]
        box_loss = (1 - giou).sum()
    # Focal where there is nothing; plain where there is a digit, for there the classes compete.
    attention = np.square(F.sigmoid(logits.detach()).numpy()).reshape(-1, net.classes)
    attention[found] = 1
    attention *= weights.reshape(-1, 1)
    entropy = F.binary_cross_entropy_with_logits(
        logits.reshape([-1, net.classes]),
        paddle.to_tensor(wanted),
        paddle.to_tensor(attention),
        "sum",
    )
    return (entropy + box_loss * 1.5) / max(1.0, float(len(found)))


def tiled_patches(rng: Rng, draw: Draw) -> Scene:
    side = PATCH if rng.random() < 0.6 else TILE
    return mosaic([scenes.patch(rng, draw, side) for _ in range((SIDE // side) ** 2)])


def tiled_parts(rng: Rng, pool: Sequence[Scene]) -> Scene:
    side = TILE if rng.random() < 0.7 else SIDE
    parts = [window(rng, pool[rng.integers(len(pool))], side) for _ in range((SIDE // side) ** 2)]
    return mosaic([Scene(tinted(rng, part.image), part.boxes, part.labels) for part in parts])


def batches(plan: Plan, rng: Rng) -> Iterator[List[Scene]]:
    """Training batches: patches, then scenes from shards that a second process draws meanwhile."""
    draw = train_draw(glyphs.scanned()[0])
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        waiting = [pool.submit(draw_shard, i) for i in range(WINDOW)]
        for _ in range(plan.patches):
            yield [tiled_patches(rng, draw) for _ in range(plan.batch)]
        shards: List[List[Scene]] = []
        used, seed = 0, WINDOW
        for step in range(plan.tiles + plan.whole):
            if used <= 0:
                shards = [*shards, waiting.pop(0).result()][-WINDOW:]
                used = SHARD * (USES if len(shards) == WINDOW else 1)
                waiting.append(pool.submit(draw_shard, seed))
                seed += 1
            ready = [scene for shard in shards for scene in shard]
            if step < plan.tiles:
                yield [tiled_parts(rng, ready) for _ in range(plan.batch)]
                used -= plan.batch * (SIDE // TILE) ** 2
            else:
                yield [ready[i] for i in rng.integers(len(ready), size=plan.batch)]
                used -= plan.batch


def train(plan: Plan, say: Callable[[str], None], seed: int = 1) -> Detector:
    paddle.seed(seed)
    net = Detector(10)
    rate = paddle.optimizer.lr.LinearWarmup(
        paddle.optimizer.lr.CosineAnnealingDecay(plan.rate, plan.steps),
        50,
        plan.rate / 20,
        plan.rate,
    )
    optimiser = paddle.optimizer.AdamW(
        rate,
        parameters=net.parameters(),
        weight_decay=0.02,
        grad_clip=paddle.nn.ClipGradByGlobalNorm(10.0),
    )
    average = Average(net)
    centres, strides = grid(SIDE)
    started, recent = time.monotonic(), 4.0
    for step, batch in enumerate(batches(plan, np.random.default_rng(seed))):
        loss = loss_of(net, batch, centres, strides)
        loss.backward()
        optimiser.step()
        optimiser.clear_grad()
        rate.step()
        average.update(net)
        recent += 0.05 * (float(loss) - recent)
        if step % 50 == 0:
            seconds = time.monotonic() - started
            say(f"step {step}/{plan.steps} loss {recent:.3f} after {seconds:.0f} s")
    average.copy_to(net)
    return net
