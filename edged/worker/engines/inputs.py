"""What every engine asks before and after a run: shapes, names, types, the thread, NaN."""

from __future__ import annotations

import threading
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np

from edged.errors import BadOutput, EngineError
from edged.worker.engines import Array, Engine, Network, TensorInfo

Shapes = Dict[str, Tuple[int, ...]]

SIZES = ("scale_factor", "im_shape", "im_size")
"""What PaddleDetection's exports are told beside the picture: (1, 2), y before x."""


def picture_input(names: Sequence[str]) -> str:
    """The one input that is not of `SIZES`. Raises EngineError when it is not clear which."""
    pictures = [name for name in names if name not in SIZES]
    if len(pictures) != 1:
        raise EngineError(
            f"of the network's inputs {', '.join(names)} one is to be the picture, besides"
            f" {', '.join(SIZES[:-1])} and {SIZES[-1]}: not {' and '.join(pictures) or 'none'}"
        )
    return pictures[0]


def input_shapes(names: Sequence[str], network: Network) -> Shapes:
    """The shape each input gets, of one picture. Raises EngineError as `picture_input`."""
    width, height = network.input_size
    picture = picture_input(names)
    return {name: (1, 3, height, width) if name == picture else (1, 2) for name in names}


def check_declared(declared: Mapping[str, Tuple[int, ...]], network: Network) -> None:
    """Raises EngineError unless the shapes fit what the program declares (-1: free).

    Only the batch and the channels of a `resizable` picture have to.
    """
    picture = picture_input(list(declared))
    for name, shape in input_shapes(list(declared), network).items():
        made = declared[name]
        binding = made[:2] if network.resizable and name == picture else made
        fits = len(shape) == len(made) and all(
            size in (-1, given) for size, given in zip(binding, shape)
        )
        if not fits:
            raise EngineError(
                f"input {name} of the network is made for the shape {list(made)},"
                f" the model's settings give it {list(shape)}"
            )


def check_feeds(inputs: Sequence[TensorInfo], feeds: Mapping[str, object], batch: int = 1) -> None:
    """Raises EngineError unless `feeds` has exactly the inputs, each of its shape and dtype.

    Of a network whose only input is the picture there may be up to `batch` at a time.
    """
    wanted = {info.name for info in inputs}
    if wanted != set(feeds):
        raise EngineError(f"the network takes {sorted(wanted)}, not {sorted(feeds)}")
    for info in inputs:
        array = feeds[info.name]
        # Other types convert into garbage, None included, which numpy would take for NaN.
        if not isinstance(array, np.ndarray) or array.dtype != info.dtype:
            got = getattr(array, "dtype", type(array).__name__)
            raise EngineError(f"input {info.name} takes {info.dtype}, not {got}")
        if array.shape[1:] != info.shape[1:] or not 1 <= len(array) <= batch:
            raise EngineError(
                f"input {info.name} takes the shape {list(info.shape)}, not {list(array.shape)}"
            )


def check_finite(name: str, output: Array, network: Network) -> None:
    """Raises BadOutput when the output has values that are NaN or infinite.

    Where it is a list of rows (`Network.rows`), only when each of them has.
    """
    if output.dtype.kind != "f":
        return
    finite = np.isfinite(output)
    if finite.all():
        return
    if network.rows and output.ndim == 2 and finite.all(axis=1).any():
        return
    raise BadOutput(f"output {name} has values that are NaN or infinite")


class OwnThread:
    """Remembers the thread it was made on; a call on another raises EngineError."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def __call__(self) -> None:
        if threading.get_ident() != self._thread:
            raise EngineError("the network runs on the thread that loaded it, and on no other")


def try_out(engine: Engine) -> List[Array]:
    """The outputs for a blank picture, so that a network that cannot run is known at once.

    A blank one is no picture a camera sends, and a network may well divide by its
    contrast: one that answers NaN gets a second chance on noise. Raises EngineError.
    """
    try:
        return engine.run(_trial(engine.inputs, noise=False))
    except BadOutput:
        try:
            return engine.run(_trial(engine.inputs, noise=True))
        except BadOutput as error:
            raise EngineError(f"{error}, for a blank picture and for noise") from error


def _trial(inputs: Sequence[TensorInfo], noise: bool) -> Dict[str, Array]:
    feeds: Dict[str, Array] = {info.name: np.ones(info.shape, info.dtype) for info in inputs}
    picture = picture_input(list(feeds))
    shape = feeds[picture].shape
    values = np.random.default_rng(0).standard_normal(shape) if noise else np.zeros(shape)
    feeds[picture] = values.astype(feeds[picture].dtype)
    for name in feeds.keys() - {picture, "scale_factor"}:
        feeds[name][...] = shape[2:]
    return feeds
