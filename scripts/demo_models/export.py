"""Leaves a network and its description as the registry reads them."""

import json
from pathlib import Path
from typing import List, Sequence

import paddle
from paddle import nn
from paddle.base.proto import framework_pb2
from paddle.static import InputSpec

from .nets import Classifier, DeployedClassifier, DeployedDetector, Detector
from .pixels import MEAN, SCALE, STD
from .text_detector import DeployedTextDetector, TextDetector
from .text_lines import HEIGHT
from .text_reader import DeployedReader, Reader
from .wording import LETTERS

# Of the search for lines, chosen on scenes with fonts and photographs of the training. What
# is found is fatter than the kernels that were drawn, so it has to grow less than they.
BOXES = {"thresh": 0.4, "box_thresh": 0.55, "unclip_ratio": 1.0, "max_candidates": 1000}
LEAST_SCORE = 0.5


def _strip(program: Path) -> None:
    """Drops each operator's call stack: most of the file, and the paths of whoever exported it."""
    description = framework_pb2.ProgramDesc()
    description.ParseFromString(program.read_bytes())
    for block in description.blocks:
        for op in block.ops:
            kept = [attr for attr in op.attrs if attr.name != "op_callstack"]
            del op.attrs[:]
            op.attrs.extend(kept)
    program.write_bytes(description.SerializeToString())


def _save(net: nn.Layer, spec: Sequence[InputSpec], folder: Path, stem: str = "model") -> None:
    net.eval()
    folder.mkdir(parents=True, exist_ok=True)
    # Without the "extra" attributes and outputs Paddle Lite ends the process at load.
    paddle.jit.save(net, str(folder / stem), input_spec=list(spec), clip_extra=False)
    (folder / f"{stem}.pdiparams.info").unlink()
    _strip(folder / f"{stem}.pdmodel")


def save_detector(net: Detector, side: int, folder: Path) -> None:
    spec = [
        InputSpec([1, 3, side, side], "float32", "image"),
        InputSpec([1, 2], "float32", "scale_factor"),
    ]
    _save(DeployedDetector(net, side), spec, folder)


def save_classifier(net: Classifier, side: int, folder: Path) -> None:
    _save(DeployedClassifier(net), [InputSpec([1, 3, side, side], "float32", "image")], folder)


def save_text_detector(net: TextDetector, folder: Path) -> None:
    """As PaddleOCR exports one, for a picture of any size."""
    spec = [InputSpec([-1, 3, -1, -1], "float32", "x")]
    _save(DeployedTextDetector(net), spec, folder / "det", "inference")
    rules = ", ".join(f"{key}: {value}" for key, value in BOXES.items())
    (folder / "det" / "inference.yml").write_text(
        f"PostProcess: {{name: DBPostProcess, {rules}}}\n", encoding="utf-8"
    )


def save_text_reader(net: Reader, folder: Path) -> None:
    """As PaddleOCR exports one, for a line of any length, and its dictionary beside it."""
    spec = [InputSpec([-1, 3, HEIGHT, -1], "float32", "x")]
    _save(DeployedReader(net), spec, folder / "rec", "inference")
    letters = "".join(f"{letter}\n" for letter in LETTERS)
    (folder / "rec" / "letters.txt").write_text(letters, encoding="utf-8")


def describe_text(folder: Path, mid: int, languages: Sequence[str]) -> None:
    """Writes model.yaml of a folder with det/ and rec/."""
    lines = [
        f"mid: {mid}",
        f"name: {folder.name}",
        "task: ocr",
        f"languages: [{', '.join(languages)}]",
        f"threshold: {LEAST_SCORE}",
    ]
    (folder / "model.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def describe(
    folder: Path, mid: int, task: str, labels: Sequence[str], side: int, threshold: str = ""
) -> None:
    """Writes model.yaml."""
    lines: List[str] = [
        f"mid: {mid}",
        f"name: {folder.name}",
        f"task: {task}",
        "model: model.pdmodel",
        "params: model.pdiparams",
        f"labels: {json.dumps(list(labels))}",
        "preprocess:",
        f"  - {{op: resize, width: {side}, height: {side}, interp: linear}}",
        f"  - {{op: normalize, color: RGB, scale: {SCALE!r}, "
        f"mean: {_numbers(MEAN)}, std: {_numbers(STD)}}}",
    ]
    if threshold:
        lines.append(f"threshold: {threshold}")
    (folder / "model.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{float(v):.3f}" for v in values) + "]"
