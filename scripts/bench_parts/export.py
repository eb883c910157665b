"""Exports MobileNetV3-S, in the venv with Paddle 2.6.2: the newest that exports for Paddle Lite.

    python -m scripts.bench_parts.export FOLDER

The weights are random, always the same. Nothing is trained, but three things are set so
that the network behaves as a trained one: batch norms know the statistics of pictures,
and of the classes each has its turn, so that another picture has another answer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paddle

_SEED = 20
_SIDE = 224
_BATCH = 48
_SPREAD = 0.4  # standard deviation of a class's logit: of a photograph, none takes it all

_MODEL_YAML = """\
mid: 1
name: mobilenet
task: classification
model: model.pdmodel
params: model.pdiparams
preprocess:
  - {op: resize, width: 224, height: 224, interp: linear}
  - {op: normalize, color: RGB, scale: 0.00392156862745098,
     mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
"""


def _pictures(rng: np.random.Generator) -> Any:
    """(48, 3, 224, 224), blots of colour from coarse to fine."""
    made = []
    for _ in range(_BATCH):
        cells = int(rng.integers(2, 24))
        blots = rng.random((cells, cells, 3)).astype(np.float32)
        made.append(cv2.resize(blots, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC))
    return paddle.to_tensor((np.stack(made).transpose(0, 3, 1, 2) - 0.45) / 0.225)


def _network() -> Any:
    paddle.seed(_SEED)
    net = paddle.vision.models.mobilenet_v3_small()
    pictures = _pictures(np.random.default_rng(_SEED))
    with paddle.no_grad():
        for layer in net.sublayers():
            if isinstance(layer, paddle.nn.BatchNorm2D):
                layer._momentum = 0.0  # what this one batch has, and nothing of the start
        net.train()
        net(pictures)
        net.eval()
        logits = net(pictures).numpy()
        scale, last = _SPREAD / logits.std(0), net.classifier[-1]
        last.weight.set_value(last.weight.numpy() * scale)
        last.bias.set_value((last.bias.numpy() - logits.mean(0)) * scale)
    return net


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    spec = paddle.static.InputSpec([1, 3, _SIDE, _SIDE], "float32", "x")
    # Without clip_extra=False Paddle Lite crashes when it loads the network.
    paddle.jit.save(_network(), str(folder / "model"), input_spec=[spec], clip_extra=False)
    (folder / "model.yaml").write_text(_MODEL_YAML)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
