"""A picture as each server wants it posted, and the answer as it comes back."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence
from urllib.parse import urlsplit

import msgspec

from edged.daemon.dialects import edgeboard
from scripts.bench_parts.answers import Answer
from scripts.bench_parts.lab import Lab

JSON, MSGPACK = "application/json", "application/msgpack"
_BOUNDARY = "edge-of-a-part"


class Message(NamedTuple):
    """`body` is a file, which wrk and the generator read for themselves."""

    path: str
    content_type: str
    accept: str
    body: Path


def raw(picture: Path, path: str, accept: str = JSON) -> Message:
    return Message(path, "image/jpeg", accept, picture)


def in_json(lab: Lab, picture: Path, path: str, wrap: Callable[[str], object]) -> Message:
    """`wrap` makes the document of the picture in base64."""
    text = json.dumps(wrap(base64.b64encode(picture.read_bytes()).decode()))
    return Message(path, JSON, JSON, _file(lab, text.encode()))


def form(lab: Lab, picture: Path, path: str, field: str, fields: Dict[str, str]) -> Message:
    """multipart/form-data with the picture in `field`."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; '
        'filename="picture.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    end = f"\r\n--{_BOUNDARY}--\r\n"
    body = ("".join(parts) + head).encode() + picture.read_bytes() + end.encode()
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    return Message(path, kind, JSON, _file(lab, body))


def _file(lab: Lab, body: bytes) -> Path:
    made = lab.path("bodies", hashlib.sha256(body).hexdigest()[:16])
    made.write_bytes(body)
    return made


def edged_message(
    lab: Lab, picture: Path, how: str, mids: Sequence[int] = (1,), show: bool = False
) -> Message:
    """`how`: binary, base64, multipart or msgpack (binary, answered in msgpack)."""
    (mid, *_), drawn = mids, int(show)
    if how == "base64":
        path = f"{edgeboard.BASE64}?mid={mid}"
        return in_json(lab, picture, path, lambda text: {"image": text, "show": show})
    if how == "multipart":
        path = f"{edgeboard.MULTIPART}?show={drawn}"
        return form(lab, picture, path, "file", {"mids": json.dumps(list(mids))})
    path = f"{edgeboard.BINARY}?mid={mid}&show={drawn}"
    return raw(picture, path, MSGPACK if how == "msgpack" else JSON)


def post(url: str, message: Message, timeout: float = 60.0) -> Any:
    """The decoded answer. Raises RuntimeError for any status but 200, OSError and
    HTTPException where no answer comes."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=timeout)
    try:
        headers = {"Content-Type": message.content_type, "Accept": message.accept}
        connection.request("POST", message.path, message.body.read_bytes(), headers)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"{url}{message.path}: {response.status} {content[:300]!r}")
    if message.accept == MSGPACK:
        return msgspec.msgpack.decode(content)
    return json.loads(content)


def edged_results(document: Any) -> List[Dict[str, Any]]:
    data = document["data"]
    results: List[Dict[str, Any]] = (data[0] if isinstance(data, list) else data)["result"]
    return results


def edged_answer(document: Any, boxes: bool) -> Answer:
    """As functions.py has it."""
    return [_row(result, boxes) for result in edged_results(document)]


def _row(result: Dict[str, Any], boxes: bool) -> List[float]:
    row = [result["index"], result["score"]]
    if not boxes:
        return row
    at = result["location"]
    corners = [at["left"], at["top"], at["left"] + at["width"], at["top"] + at["height"]]
    return [*row, *corners]
