"""Folders as PaddleDetection exports them: `infer_cfg.yml`, or a newer `inference.yml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Literal, Mapping, Optional, Tuple, Union

import msgspec

from edged.errors import ModelFolderError
from edged.registry.files import exists, file_inside
from edged.registry.formats.description import Description
from edged.registry.formats.document import convert, read_yaml
from edged.registry.spec import AnyStep, Channels, Interp, ModelFiles, Normalize, Resize

EXPORTER = "PaddleDetection"

_CONFIG, _NEW_CONFIG = "infer_cfg.yml", "inference.yml"
_NETWORKS = (
    ("model.pdmodel", "model.pdiparams"),
    ("inference.pdmodel", "inference.pdiparams"),
    ("__model__", "__params__"),
)
_INTERPS: Tuple[Interp, ...] = ("nearest", "linear", "cubic", "area", "lanczos")  # cv2's codes


class _Config(msgspec.Struct):
    Preprocess: List[Dict[str, Any]]
    draw_threshold: float = 0.5
    label_list: List[Union[str, int]] = []


class _Resize(msgspec.Struct):
    """Defaults, here and below, are PaddleDetection's own."""

    target_size: Union[int, Tuple[int, int]]
    keep_ratio: bool = True
    interp: int = 1


class _NormalizeImage(msgspec.Struct):
    mean: Channels
    std: Channels
    is_scale: bool = True
    norm_type: Optional[Literal["mean_std", "none"]] = "mean_std"


class _Permute(msgspec.Struct):
    to_bgr: bool = False


def recognise(folder: Path) -> bool:
    if exists(folder, _CONFIG):
        return True
    # PaddleClas and PaddleOCR write an inference.yml too, with `PreProcess`.
    return exists(folder, _NEW_CONFIG) and "Preprocess" in read_yaml(folder, _NEW_CONFIG)


def read(folder: Path) -> Description:
    name = _CONFIG if exists(folder, _CONFIG) else _NEW_CONFIG
    config = convert(read_yaml(folder, name), _Config, name)
    if not 0 <= config.draw_threshold <= 1:
        raise ModelFolderError(f"{name}: draw_threshold must be 0 to 1")
    return Description(
        task="detection",
        files=_files(folder, name),
        preprocess=tuple(_steps(config.Preprocess, name)),
        labels=tuple(str(label) for label in config.label_list),
        threshold=config.draw_threshold,
    )


def _files(folder: Path, config: str) -> ModelFiles:
    for model, params in _NETWORKS:
        if exists(folder, model) or exists(folder, params):
            if exists(folder, "inference.json") and not exists(folder, model):
                raise ModelFolderError(
                    f"{model} is missing, and Paddle Lite cannot run inference.json (PIR)"
                )
            return ModelFiles("combined", file_inside(folder, model), file_inside(folder, params))
    stem = "model" if config == _CONFIG else "inference"
    raise ModelFolderError(f"{stem}.pdmodel is missing")


def _steps(operators: List[Dict[str, Any]], name: str) -> List[AnyStep]:
    steps: List[AnyStep] = []
    for operator in operators:
        kind = operator.get("type")
        if not isinstance(kind, str):
            raise ModelFolderError(f"{name}: a preprocess step has no type")
        if kind not in _READERS:
            raise ModelFolderError(f"preprocess step {kind} is not supported yet")
        step = _READERS[kind](operator, f"{name}, preprocess step {kind}")
        if step is not None:
            steps.append(step)
    return steps


def _resize(operator: Mapping[str, Any], where: str) -> Resize:
    resize = convert(operator, _Resize, where)
    if resize.keep_ratio:
        raise ModelFolderError("preprocess step Resize with keep_ratio is not supported yet")
    if not 0 <= resize.interp < len(_INTERPS):
        raise ModelFolderError(f"{where}: interp {resize.interp} is not known")
    size = resize.target_size
    height, width = (size, size) if isinstance(size, int) else size
    return Resize(width=width, height=height, interp=_INTERPS[resize.interp])


def _normalize(operator: Mapping[str, Any], where: str) -> Normalize:
    image = convert(operator, _NormalizeImage, where)
    scale = 1 / 255 if image.is_scale else 1.0
    if image.norm_type != "mean_std":
        return Normalize(scale=scale)
    return Normalize(scale=scale, mean=image.mean, std=image.std)


def _permute(operator: Mapping[str, Any], where: str) -> None:
    """The worker feeds CHW anyway."""
    if convert(operator, _Permute, where).to_bgr:
        raise ModelFolderError("preprocess step Permute with to_bgr is not supported yet")


_READERS: Dict[str, Callable[[Mapping[str, Any], str], Optional[AnyStep]]] = {
    "Resize": _resize,
    "NormalizeImage": _normalize,
    "Permute": _permute,
}
