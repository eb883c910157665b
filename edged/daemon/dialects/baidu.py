"""What Baidu's cloud dialects share: the form of an answer, codes, the rules for a picture.

Sources: "图像分类-单图单标签API参考文档" (BML), the EasyDL server API for local deployment, and
"文字识别API参考文档". These answer HTTP 200 always: their Java and C++ samples throw on
anything else and would lose the body.
"""

from __future__ import annotations

import secrets
from itertools import count
from typing import Dict, Optional, Type

import msgspec
from aiohttp import web

from edged.daemon import record
from edged.daemon.answers import respond
from edged.daemon.bodies import decode_base64
from edged.errors import (
    BadImage,
    DeadlinePassed,
    EdgedError,
    ImageTooLarge,
    ImageTooSmall,
    QueueFull,
    Stopping,
    UnknownModel,
)
from edged.image_header import read_header
from edged.results import Result

MESSAGES: Dict[int, str] = {
    1: "Unknown error",
    2: "Service temporarily unavailable",
    3: "Unsupported openapi method",
    4: "Open api request limit reached",
    6: "No permission to access data",
    13: "Get service token failed",
    14: "IAM Certification failed",
    15: "app not exists or create failed",
    17: "Open api daily request limit reached",
    18: "Open api qps request limit reached",
    19: "Open api total request limit reached",
    100: "Invalid parameter",
    110: "Access token invalid or no longer valid",
    111: "Access token expired",
    336000: "Internal error",
    336001: "Invalid Argument",
    336002: "Invalid JSON",
    336003: "Invalid BASE64",
    336004: "Invalid input size",
    336005: "Decode input failed",
    336006: "Missing required parameter",
    336100: "Model temporarily unavailable",
    337000: "Auth check failed",
}
"""Every code of the documents, with the words that stand before what exactly is wrong."""

RESERVED = frozenset({1, 2, 13, 14, 337000})
"""Codes without a cause on a board."""

# Where these dialects have other numbers than the EdgeBoard contract.
_CODES: Dict[Type[EdgedError], int] = {
    UnknownModel: 3,
    QueueFull: 4,
    Stopping: 2,
    DeadlinePassed: 336100,
}

MOST_BASE64 = 4 << 20
_LEAST_SIDE, _MOST_SIDE = 15, 4096
_FORMATS = ("jpeg", "png", "bmp")
# JavaScript's numbers are exact up to 53 bits. A random start keeps them apart after a restart.
_log_ids = count(secrets.randbits(52))


class Location(msgspec.Struct):
    """Whole pixels."""

    left: int
    top: int
    width: int
    height: int


class Reply(msgspec.Struct):
    log_id: int


class ErrorReply(Reply):
    error_code: int
    error_msg: str


def new_log_id() -> int:
    return next(_log_ids)


def location_of(result: Result) -> Location:
    """Corner by corner, so that it stays inside the picture."""
    box = result.location
    left, top = round(box.left), round(box.top)
    right, bottom = round(box.left + box.width), round(box.top + box.height)
    return Location(left, top, right - left, bottom - top)


def answer(request: web.Request, reply: Reply) -> web.Response:
    record.current().log_id = reply.log_id
    return respond(request, reply)


def code_of(error: EdgedError) -> int:
    return _CODES.get(type(error), error.code)


def error_response(request: web.Request, error: EdgedError) -> web.Response:
    """The one place where an error takes the form of the models' APIs."""
    code = code_of(error)
    return refusal(request, error, code, MESSAGES[code])


def refusal(request: web.Request, error: EdgedError, code: int, words: str) -> web.Response:
    """`words` are those of the documents for the code."""
    message = words
    # They say the same as an error of nothing more to say, unless it has another.
    if str(error) != error.when or code != error.code:
        message = f"{message}: {error}"
    return answer(request, ErrorReply(new_log_id(), code, message))


def decode_image(text: Optional[str]) -> bytes:
    """The picture in the field `image`, by the rules of the documents.

    Raises ImageMissing, BadBase64, BadImage, ImageTooLarge or ImageTooSmall.
    """
    image = decode_base64(text, "image", MOST_BASE64)
    header = read_header(image)
    if header.format not in _FORMATS:
        raise BadImage(f"the image is {header.format}, not one of jpg, png and bmp")
    if min(header.width, header.height) < _LEAST_SIDE:
        raise ImageTooSmall(
            f"the image is {header.width} x {header.height} pixels, a side is under {_LEAST_SIDE}"
        )
    if max(header.width, header.height) > _MOST_SIDE:
        raise ImageTooLarge(
            f"the image is {header.width} x {header.height} pixels, a side is over {_MOST_SIDE}"
        )
    return image
