"""What may stand in a dataset: names, labels, boxes, sounds, texts.

Source: the EasyDL document "API上传" (dataset management).
"""

from __future__ import annotations

import io
import re
import struct
import typing
import wave
from typing import Sequence

from edged.datasets.types import Box, Kind, Label
from edged.errors import BadParam

KINDS: Sequence[Kind] = typing.get_args(Kind)
SUFFIXES = {"jpeg": ".jpg", "png": ".png", "bmp": ".bmp", "webp": ".webp"}
"""What a picture's file is called, by the format in its header."""

MOST_IMAGE_BYTES = 10 << 20
MOST_SOUND_BYTES = 4 << 20
MOST_CHARACTERS = 10_000

MOST_LABEL = 20
LABEL = re.compile(f"[0-9A-Za-z_-]{{1,{MOST_LABEL}}}")
MOST_DATASET_NAME = 20
_ROUNDING = 1e-6  # pixels that a sum of fractions may be off by
_MOST_ENTITY_NAME = 255  # bytes, as of a file's name
_SOUND_SECONDS = (1.0, 15.0)
_MOST_CHUNKS = 4096


def is_dataset_name(name: str) -> bool:
    return 1 <= len(name) <= MOST_DATASET_NAME and name.isprintable()


def check_dataset_name(name: str) -> None:
    if not is_dataset_name(name):
        raise BadParam(f"param[dataset_name] must have 1 to {MOST_DATASET_NAME} characters")


def check_entity_name(name: str) -> None:
    """It is a file's name on export."""
    fits = 1 <= len(name.encode("utf-8", "replace")) <= _MOST_ENTITY_NAME
    if not fits or not name.isprintable() or "/" in name or name in (".", ".."):
        raise BadParam("param[entity_name] must be the name of a file")


def check_labels(labels: Sequence[Label], kind: Kind, width: int, height: int) -> None:
    """`width` and `height` are of a picture, in pixels."""
    for label in labels:
        if not LABEL.fullmatch(label.name):
            raise BadParam(
                f"param[label_name] must have 1 to {MOST_LABEL} digits, letters, - and _, "
                f"not {label.name[:32]!r}"
            )
        if kind == "OBJECT_DETECTION":
            if label.box is None:
                raise BadParam("param[labels] must have left, top, width and height in detection")
            _check_box(label.box, width, height)


def _check_box(box: Box, width: int, height: int) -> None:
    inside = box.left >= 0 and box.top >= 0
    inside &= box.left + box.width <= width + _ROUNDING
    inside &= box.top + box.height <= height + _ROUNDING
    if not inside or box.width <= 0 or box.height <= 0:
        raise BadParam(f"param[labels] has a box that is not in the {width} x {height} picture")


def check_sound(data: bytes) -> None:
    """WAV with PCM of 1 to 15 seconds. Raises BadParam. May take a tenth of a second."""
    if len(data) > MOST_SOUND_BYTES:
        raise BadParam(f"param[entity_content] is over {MOST_SOUND_BYTES >> 20} MiB")
    if not _reaches_data(data):
        raise BadParam(f"param[entity_content] is a WAV with over {_MOST_CHUNKS} chunks")
    try:
        with wave.open(io.BytesIO(data)) as sound:
            frames, rate = sound.getnframes(), sound.getframerate()
            size = frames * sound.getnchannels() * sound.getsampwidth()
            read = len(sound.readframes(frames))
            seconds = frames / rate
    except (wave.Error, EOFError, RuntimeError, ZeroDivisionError) as error:
        raise BadParam(f"param[entity_content] is no WAV with PCM: {error}") from None
    if read != size:
        raise BadParam("param[entity_content] is a WAV that is cut short")
    low, high = _SOUND_SECONDS
    if not low <= seconds <= high:
        raise BadParam(f"param[entity_content] lasts {seconds:g} s, not {low:g} to {high:g}")


def _reaches_data(data: bytes) -> bool:
    """Whether the sound, or the end, is not behind too many other chunks: `wave` takes seconds
    for half a million."""
    at = 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data) or data[at : at + 4] == b"data":
            return True
        (size,) = struct.unpack_from("<I", data, at + 4)
        at += 8 + size + size % 2
    return False


def check_text(data: bytes) -> None:
    try:
        length = len(data.decode())
    except UnicodeDecodeError:
        raise BadParam("param[entity_content] is not UTF-8") from None
    if not 1 <= length <= MOST_CHARACTERS:
        raise BadParam(f"param[entity_content] has {length} characters, not 1 to {MOST_CHARACTERS}")
