"""What the tests of the dataset API share: a client, and what it sends."""

from __future__ import annotations

import io
import json
import wave
from contextlib import closing
from pathlib import Path
from typing import Dict, List, NamedTuple, Union

from edged.keys import KeyStore, NewKey, Rules
from tests.daemon.contract import Json
from tests.daemon.dialects.cloud import ask, refused, text_of, token_of
from tests.pictures import encoded, landscape
from tests.support import RunningDaemon

BASE = "/rpc/2.0/easydl/"
CREATE, LIST, ADD, DELETE = (
    f"dataset/{name}" for name in ("create", "list", "addentity", "delete")
)
LABELS, DELETE_LABEL = "label/list", "label/delete"
EVERY_CALL = (CREATE, LIST, ADD, DELETE, LABELS, DELETE_LABEL)
OF_A_DATASET = (ADD, DELETE, LABELS, DELETE_LABEL)

CLASSES, BOXES, SEGMENTS, SOUNDS, TEXTS = TYPES = (
    "IMAGE_CLASSIFICATION",
    "OBJECT_DETECTION",
    "IMAGE_SEGMENTATION",
    "SOUND_CLASSIFICATION",
    "TEXT_CLASSIFICATION",
)
WIDTH, HEIGHT = 61, 43


def picture(number: int = 0, kind: str = "JPEG", width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Another one for every number."""
    image = landscape(width, height)
    image.putpixel((0, 0), (number % 256, number // 256 % 256, 0))
    return encoded(image, "PNG" if number else kind)


def sound(seconds: float = 2.0, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(int(seconds * rate) * channels * width))
    return stream.getvalue()


CONTENT: Dict[str, str] = {
    CLASSES: text_of(picture()),
    BOXES: text_of(picture()),
    SEGMENTS: text_of(picture()),
    SOUNDS: text_of(sound()),
    TEXTS: "好天气",
}
SUFFIX = {CLASSES: "jpg", BOXES: "jpg", SEGMENTS: "jpg", SOUNDS: "wav", TEXTS: "txt"}


def label(name: str, *box: object) -> Json:
    """As it stands in `labels`; `box` is left, top, width and height."""
    return {"label_name": name, **dict(zip(("left", "top", "width", "height"), box))}


class Client(NamedTuple):
    """Of one key."""

    daemon: RunningDaemon
    token: str
    key: NewKey

    def call(self, name: str, body: Union[bytes, Json]) -> Json:
        """The answer, whatever it says."""
        return ask(self.daemon, f"{BASE}{name}?access_token={self.token}", body)

    def done(self, name: str, **fields: object) -> Json:
        """The answer without its log_id. AssertionError for an error."""
        content = self.call(name, fields)
        assert "error_code" not in content, content
        del content["log_id"]
        return content

    def code(self, name: str, **fields: object) -> int:
        """Of the error. AssertionError where there is none."""
        return refused(self.call(name, fields))

    def create(self, kind: str, name: str) -> int:
        content = self.done(CREATE, type=kind, dataset_name=name)
        assert list(content) == ["dataset_id"]
        number: int = content["dataset_id"]
        assert type(number) is int
        return number

    def entity(self, kind: str, number: int, *labels: Json, **other: object) -> Json:
        """The body of an addentity that is all right, but for the `other` fields. A field of
        Ellipsis is left out."""
        body = {
            "type": kind,
            "dataset_id": number,
            "entity_name": f"1.{SUFFIX[kind]}",
            "entity_content": CONTENT[kind],
            "labels": list(labels),
            **other,
        }
        return {name: value for name, value in body.items() if value is not ...}

    def add(self, kind: str, number: int, *labels: Json, **other: object) -> None:
        assert self.done(ADD, **self.entity(kind, number, *labels, **other)) == {}

    def refuse(self, kind: str, number: int, *labels: Json, **other: object) -> str:
        """What is said of a wrong parameter. AssertionError for any other answer."""
        content = self.call(ADD, self.entity(kind, number, *labels, **other))
        assert refused(content) == 406001, content
        message: str = content["error_msg"]
        assert message.startswith("param[xx] invalid: ")
        return message

    def labels(self, kind: str, number: int) -> Dict[str, int]:
        """How many entities carry each."""
        content = self.done(LABELS, type=kind, dataset_id=number, num=100)
        rows: List[Json] = content["results"]
        assert content["total_num"] == len(rows)
        return {row["label_name"]: row["entity_count"] for row in rows}


def new_key(state: Path, name: str) -> NewKey:
    with closing(KeyStore(state, create=True)) as store:
        return store.create(name, Rules())


def client_of(daemon: RunningDaemon, key: NewKey) -> Client:
    return Client(daemon, token_of(daemon, key), key)


def dumped(content: object) -> bytes:
    return json.dumps(content).encode()
