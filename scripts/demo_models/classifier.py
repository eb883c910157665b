"""Training and measuring the camera check."""

import time
from dataclasses import dataclass, replace
from typing import Callable, Iterator, List, Tuple

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.typing import NDArray

from . import conditions, photos
from .averaging import Average
from .glyphs import Floats
from .nets import Classifier
from .photos import Picture
from .pixels import normalised
from .writing import Rng

Example = Tuple[Picture, int]
POOL = 2048  # examples kept for training; the oldest makes room for a new one


@dataclass(frozen=True)
class Plan:
    """How long to train: steps, pictures a step, new pictures drawn for each step."""

    steps: int = 1100
    batch: int = 20
    fresh: int = 7  # one of each label
    rate: float = 3e-3

    def part(self, share: float) -> "Plan":
        return replace(self, steps=int(self.steps * share))


def draw(rng: Rng, paths: Tuple[str, ...], count: int, varied: bool = True) -> List[Example]:
    """Network-sized examples, the labels in turn."""
    drawn: List[Example] = []
    for i in range(count):
        index = i % len(conditions.LABELS)
        label = conditions.LABELS[index]
        usable = tuple(path for path in paths if label != "noisy" or path not in photos.TEXTURES)
        picture = conditions.example(rng, photos.load_all(usable), label, varied)
        drawn.append((conditions.as_input(picture), index))
    return drawn


def batches(plan: Plan, rng: Rng) -> Iterator[Tuple[Floats, NDArray[np.int64]]]:
    """Endless training batches; each use mirrors the picture or swaps its colours anew."""
    pool: List[Example] = draw(rng, photos.TRAIN, 420)
    while True:
        pool = (pool + draw(rng, photos.TRAIN, plan.fresh))[-POOL:]
        picks = [pool[i] for i in rng.integers(len(pool), size=plan.batch)]
        pictures = []
        for picture, _ in picks:
            turned = picture[:, ::-1] if rng.random() < 0.5 else picture
            swapped = turned[..., rng.permutation(3)] if rng.random() < 0.2 else turned
            pictures.append(np.ascontiguousarray(swapped))
        yield normalised(pictures), np.array([label for _, label in picks], np.int64)


def train(plan: Plan, say: Callable[[str], None], seed: int = 2) -> Classifier:
    paddle.seed(seed)
    net = Classifier(len(conditions.LABELS))
    rate = paddle.optimizer.lr.LinearWarmup(
        paddle.optimizer.lr.CosineAnnealingDecay(plan.rate, plan.steps),
        50,
        plan.rate / 20,
        plan.rate,
    )
    optimiser = paddle.optimizer.AdamW(rate, parameters=net.parameters(), weight_decay=0.02)
    average = Average(net, 0.995)
    started, recent = time.monotonic(), 2.0
    for step, (pictures, labels) in enumerate(batches(plan, np.random.default_rng(seed))):
        if step == plan.steps:
            break
        logits = net(paddle.to_tensor(pictures))
        loss = F.cross_entropy(logits, paddle.to_tensor(labels), label_smoothing=0.03)
        loss.backward()
        optimiser.step()
        optimiser.clear_grad()
        rate.step()
        average.update(net)
        recent += 0.02 * (float(loss) - recent)
        if step % 100 == 0:
            seconds = time.monotonic() - started
            say(f"step {step}/{plan.steps} loss {recent:.3f} after {seconds:.0f} s")
    average.copy_to(net)
    return net
