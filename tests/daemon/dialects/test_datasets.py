"""The dataset API: calls, fields, pages, labels and owners, as the contract has them."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Dict, Iterator, List
from zlib import crc32

import pytest
import requests

from tests.daemon.contract import Json
from tests.daemon.dialects.cloud import refused, text_of
from tests.daemon.dialects.datasets import (
    ADD,
    BASE,
    BOXES,
    CLASSES,
    CONTENT,
    CREATE,
    DELETE,
    DELETE_LABEL,
    EVERY_CALL,
    HEIGHT,
    LABELS,
    LIST,
    OF_A_DATASET,
    SEGMENTS,
    SOUNDS,
    TEXTS,
    TYPES,
    WIDTH,
    Client,
    client_of,
    dumped,
    label,
    new_key,
    picture,
    sound,
)
from tests.pictures import TURNS, encoded, landscape, turned
from tests.support import RunningDaemon, wait_for

ABSENT = 1 << 40


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets") / "state"


@pytest.fixture(scope="module")
def api(state: Path) -> Iterator[Client]:
    """A daemon without a model."""
    (state.parent / "models").mkdir()
    key = new_key(state, "field")
    with RunningDaemon(models=state.parent / "models", state=state) as daemon:
        yield client_of(daemon, key)
        for word in ("BlockingError", "Traceback", "never retrieved", "Warning"):
            assert word not in daemon.log()


@pytest.fixture(scope="module")
def other(api: Client, state: Path) -> Client:
    """Another key."""
    return client_of(api.daemon, new_key(state, "other"))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of a dataset, another for every test."""
    return f"{abs(hash(request.node.nodeid)):x}"[:20]


# -- datasets


@pytest.mark.parametrize("kind", TYPES)
def test_from_nothing_to_a_labelled_entity_and_back(api: Client, name: str, kind: str) -> None:
    number = api.create(kind, name)
    listed = api.done(LIST, type=kind)
    row = {
        "dataset_id": number,
        "dataset_name": name,
        "type": kind,
        "status": "normal",
        "special_status": "",
    }
    assert row in listed["results"]
    assert listed["total_num"] == len(listed["results"])
    box = [0, 0, 10, 10] if kind == BOXES else []
    api.add(kind, number, label("good", *box))
    content = api.done(LABELS, type=kind, dataset_id=number)
    (found,) = content["results"]
    assert content["total_num"] == 1
    assert isinstance(found.pop("label_id"), str)
    assert found == {"label_name": "good", "entity_count": 1}
    assert api.done(DELETE_LABEL, type=kind, dataset_id=number, label_name="good") == {}
    assert api.labels(kind, number) == {}
    assert api.done(DELETE, type=kind, dataset_id=number) == {}
    assert api.code(LABELS, type=kind, dataset_id=number) == 406002
    assert row not in api.done(LIST, type=kind)["results"]


def test_a_client_of_the_cloud(api: Client, name: str) -> None:
    """As the documents' programs do it, with `requests`: token in the query, JSON in the body."""
    url = f"{api.daemon.url}{BASE}"
    params = {"access_token": api.token}
    made = requests.post(
        f"{url}dataset/create", params=params, json={"type": CLASSES, "dataset_name": name}
    ).json()
    data = {
        "type": CLASSES,
        "dataset_id": made["dataset_id"],
        "appendLabel": False,
        "entity_content": text_of(picture()),
        "entity_name": "1.jpg",
        "labels": [{"label_name": "cat"}],
    }
    added = requests.post(f"{url}dataset/addentity", params=params, data=json.dumps(data)).json()
    assert list(added) == ["log_id"]
    assert api.labels(CLASSES, made["dataset_id"]) == {"cat": 1}


def test_a_name_is_one_of_its_type_and_its_key(api: Client, other: Client, name: str) -> None:
    number = api.create(CLASSES, name)
    assert api.code(CREATE, type=CLASSES, dataset_name=name) == 406003
    assert len({number, api.create(BOXES, name), other.create(CLASSES, name)}) == 3
    assert api.create(CLASSES, name.upper() + "X") != api.create(CLASSES, name.upper() + "x")


@pytest.mark.parametrize("named", ["x", "x" * 20, "现场图片" * 5, "a b/ü'\"\\<", "🙂" * 20])
def test_names_of_datasets(api: Client, named: str) -> None:
    number = api.create(TEXTS, named)
    rows = api.done(LIST, type=TEXTS, num=100)["results"]
    assert named in [row["dataset_name"] for row in rows if row["dataset_id"] == number]


@pytest.mark.parametrize("named", ["", "x" * 21, "现" * 21, "a\nb", "\0", None, 5, ["x"], ...])
def test_names_that_no_dataset_has(api: Client, named: object) -> None:
    fields: Json = {"type": TEXTS} if named is ... else {"type": TEXTS, "dataset_name": named}
    content = api.call(CREATE, fields)
    assert refused(content) == 406001
    assert "param[dataset_name]" in content["error_msg"]


@pytest.mark.parametrize("kind", ["", "image_classification", "VIDEO", None, 1, {}, ...])
def test_types(api: Client, kind: object) -> None:
    given: Json = {} if kind is ... else {"type": kind}
    number = api.create(CLASSES, f"t{abs(hash(str(kind)))}"[:20])
    for call in EVERY_CALL:
        body = {"dataset_name": "x", "dataset_id": number, "label_name": "x", **given}
        content = api.call(call, body)
        assert refused(content) == 406001, call
        assert "param[type]" in content["error_msg"]


def test_the_type_must_be_the_datasets(api: Client, name: str) -> None:
    number = api.create(CLASSES, name)
    for call in OF_A_DATASET:
        content = api.call(call, {"type": BOXES, "dataset_id": number})
        assert (refused(content), CLASSES in content["error_msg"]) == (406001, True)


@pytest.mark.parametrize("call", OF_A_DATASET)
def test_an_unknown_dataset_comes_before_anything_else(api: Client, call: str) -> None:
    for number in (ABSENT, str(ABSENT), 0, -1, 10**30, float(ABSENT)):
        for more in ({}, {"type": 5, "labels": 5, "entity_content": "-", "num": -1}):
            assert api.code(call, dataset_id=number, **more) == 406002


@pytest.mark.parametrize("call", OF_A_DATASET)
@pytest.mark.parametrize("number", [..., None, "", "one", 1.5, True, [], {}, "1.0"])
def test_what_is_no_number_of_a_dataset(api: Client, call: str, number: object) -> None:
    fields: Json = {} if number is ... else {"dataset_id": number}
    content = api.call(call, {"type": CLASSES, **fields})
    assert refused(content) == 406001
    assert "param[dataset_id]" in content["error_msg"]


@pytest.mark.parametrize("call", OF_A_DATASET)
def test_a_dataset_of_another_key(api: Client, other: Client, name: str, call: str) -> None:
    number = api.create(CLASSES, name)
    api.add(CLASSES, number, label("mine"))
    fields: Json = {**other.entity(CLASSES, number), "label_name": "mine"}
    assert other.code(call, **fields) == 406006
    assert other.code(call, dataset_id=number) == 406006  # nobody need know what is in it
    assert api.labels(CLASSES, number) == {"mine": 1}
    listed = other.done(LIST, type=CLASSES, num=100)["results"]
    assert number not in [row["dataset_id"] for row in listed]


# -- pages


def pages(api: Client, call: str, **fields: object) -> List[List[Any]]:
    """All pages, by `num` and `start`."""
    found: List[List[Any]] = []
    while not found or found[-1]:
        start = sum(map(len, found))
        found.append(api.done(call, start=start, **fields)["results"])
    return found[:-1]


def test_pages_of_datasets(api: Client, state: Path) -> None:
    own = client_of(api.daemon, new_key(state, "pages"))
    numbers = [own.create(SOUNDS, f"d{number}") for number in range(23)]
    for size, given in ((20, {}), (20, {"num": None}), (7, {"num": 7}), (100, {"num": "100"})):
        found = pages(own, LIST, type=SOUNDS, **given)
        assert [row["dataset_id"] for page in found for row in page] == numbers
        assert {len(page) for page in found[:-1]} <= {size}
    for start in (0, "0", 22, 23, 24, 10**30):
        assert own.done(LIST, type=SOUNDS, start=start, num=1)["total_num"] == 23


def test_pages_of_labels(api: Client, name: str) -> None:
    number = api.create(CLASSES, name)
    names = [f"l{n}" for n in range(45)]
    api.add(CLASSES, number, *map(label, names))
    found = pages(api, LABELS, type=CLASSES, dataset_id=number)
    assert [len(page) for page in found] == [20, 20, 5]
    rows = [row for page in found for row in page]
    assert [row["label_name"] for row in rows] == names
    assert len({row["label_id"] for row in rows}) == 45


@pytest.mark.parametrize("field", ["start", "num"])
@pytest.mark.parametrize("value", [-1, 1.5, "x", "", True, [], "1e2"])
def test_what_is_no_page(api: Client, name: str, field: str, value: object) -> None:
    number = api.create(CLASSES, name)
    for call in (LIST, LABELS):
        content = api.call(call, {"type": CLASSES, "dataset_id": number, field: value})
        assert refused(content) == 406001
        assert f"param[{field}]" in content["error_msg"]


@pytest.mark.parametrize("value", [0, 101, 10**30])
def test_sizes_that_no_page_has(api: Client, value: int) -> None:
    assert api.code(LIST, type=CLASSES, num=value) == 406001


# -- entities


def test_labels_are_added_or_take_the_place_of_others(api: Client, name: str) -> None:
    number = api.create(CLASSES, name)
    api.add(CLASSES, number, label("a"), label("b"))
    api.add(CLASSES, number, label("b"), label("c"))  # the same entity: by default, added
    assert api.labels(CLASSES, number) == {"a": 1, "b": 1, "c": 1}
    api.add(CLASSES, number, label("c"), label("d"), appendLabel=False)
    assert api.labels(CLASSES, number) == {"a": 0, "b": 0, "c": 1, "d": 1}
    api.add(CLASSES, number, appendLabel=True)
    assert api.labels(CLASSES, number) == {"a": 0, "b": 0, "c": 1, "d": 1}
    api.add(CLASSES, number, appendLabel="false")
    assert api.labels(CLASSES, number) == {"a": 0, "b": 0, "c": 0, "d": 0}


@pytest.mark.parametrize(
    ("given", "expected"),
    [(True, 1), ("true", 1), ("TRUE", 1), (None, 1), (False, 0), ("False", 0)],
)
def test_how_append_label_is_said(api: Client, name: str, given: object, expected: int) -> None:
    number = api.create(CLASSES, name)
    api.add(CLASSES, number, label("a"))
    api.add(CLASSES, number, label("b"), appendLabel=given)
    assert api.labels(CLASSES, number) == {"a": expected, "b": 1}


@pytest.mark.parametrize("given", [0, 1, "yes", "", [], 1.0])
def test_how_append_label_is_not_said(api: Client, name: str, given: object) -> None:
    number = api.create(CLASSES, name)
    assert "param[appendLabel]" in api.refuse(CLASSES, number, appendLabel=given)


def test_an_entity_is_a_name_and_a_content(api: Client, name: str) -> None:
    number = api.create(CLASSES, name)
    again = {"entity_content": text_of(picture(1))}
    for more in ({}, {}, again, {"entity_name": "2.jpg"}, {"entity_name": "2.jpg", **again}):
        api.add(CLASSES, number, label("a"), **more)
    assert api.labels(CLASSES, number) == {"a": 4}


def test_a_deleted_label_leaves_its_entities(api: Client, name: str) -> None:
    number = api.create(CLASSES, name)
    api.add(CLASSES, number, label("a"), label("b"))
    assert api.done(DELETE_LABEL, type=CLASSES, dataset_id=number, label_name="a") == {}
    assert api.labels(CLASSES, number) == {"b": 1}
    api.add(CLASSES, number, label("b"))
    assert api.labels(CLASSES, number) == {"b": 1}  # no second entity
    for absent in ("a", "B", "", "猫", "x" * 100):
        assert api.code(DELETE_LABEL, type=CLASSES, dataset_id=number, label_name=absent) == 406005
    wrongs: List[object] = [None, 5, []]
    for wrong in wrongs:
        content = api.call(
            DELETE_LABEL, {"type": CLASSES, "dataset_id": number, "label_name": wrong}
        )
        assert refused(content) == 406001
        assert "param[label_name]" in content["error_msg"]


@pytest.mark.parametrize("named", ["0", "-", "_", "a-b_C9", "x" * 20])
def test_names_of_labels(api: Client, name: str, named: str) -> None:
    number = api.create(CLASSES, name)
    api.add(CLASSES, number, label(named))
    assert api.labels(CLASSES, number) == {named: 1}


@pytest.mark.parametrize("named", ["", "x" * 21, "猫", "a b", "a.b", "a\n", None, 5])
def test_names_that_no_label_has(api: Client, name: str, named: Any) -> None:
    number = api.create(CLASSES, name)
    assert "param[label" in api.refuse(CLASSES, number, label("good"), label(named))
    assert api.labels(CLASSES, number) == {}  # all or nothing


@pytest.mark.parametrize("labels", [..., None, "a", {"label_name": "a"}, ["a"], [None], [[]]])
def test_what_are_no_labels(api: Client, name: str, labels: object) -> None:
    number = api.create(CLASSES, name)
    assert "param[labels]" in api.refuse(CLASSES, number, labels=labels)


def test_many_labels(api: Client, name: str) -> None:
    """A body of nothing but labels would take a board's memory many times over."""
    number = api.create(BOXES, name)
    rows = [label("a", 0, 0, 1 + n % WIDTH, 1 + n % HEIGHT) for n in range(5000)]
    api.add(BOXES, number, *rows)
    assert api.labels(BOXES, number) == {"a": 1}
    assert "over 1 MiB" in api.refuse(BOXES, number, *[{}] * 600_000)
    assert "over 10000 labels" in api.refuse(BOXES, number, *rows, *rows, *[{}])


@pytest.mark.parametrize("named", ["1.jpg", "现场 1.jpg", "x" * 255, "..a", "没有后缀"])
def test_names_of_entities(api: Client, name: str, named: str) -> None:
    number = api.create(TEXTS, name)
    api.add(TEXTS, number, label("a"), entity_name=named)
    assert api.labels(TEXTS, number) == {"a": 1}


@pytest.mark.parametrize(
    "named",
    ["", ".", "..", "a/b", "/etc/passwd", "x" * 256, "猫" * 86, "a\0b", "a\nb", None, 5, ...],
)
def test_names_that_no_entity_has(api: Client, name: str, named: object) -> None:
    number = api.create(TEXTS, name)
    assert "param[entity_name]" in api.refuse(TEXTS, number, entity_name=named)


# -- boxes


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, WIDTH, HEIGHT),
        (WIDTH - 1, HEIGHT - 1, 1, 1),
        (0.5, 0.25, 1.5, 2.75),
        ("1", "2", "3.5", " 4 "),
        (WIDTH * 0.46, 0, WIDTH * (1 - 0.46), 1),  # their sum is more, by the last bit
    ],
)
def test_boxes_in_the_picture(api: Client, name: str, box: List[Any]) -> None:
    number = api.create(BOXES, name)
    api.add(BOXES, number, label("a", *box), label("a", 1, 1, 2, 2))
    assert api.labels(BOXES, number) == {"a": 1}


@pytest.mark.parametrize(
    "box",
    [
        (-1, 0, 10, 10),
        (0, -1, 10, 10),
        (0, 0, WIDTH + 0.01, 10),
        (0, 0, 10, HEIGHT + 1),
        (WIDTH, 0, 1, 1),
        (0, 0, 0, 10),
        (0, 0, 10, 0),
        (10, 10, -5, -5),
        (0, 0, 1e308, 1),
        (0.5, 0, 10**400, 1),
        (0, 0.5, 1, -(10**400)),
        (0, 0, "1e3", 1),
        (0, 0, "wide", 1),
        (0, 0, None, 1),
        (0, 0, True, 1),
        (0, 0, 1),
        (),
    ],
)
def test_boxes_that_are_not_in_it(api: Client, name: str, box: List[Any]) -> None:
    number = api.create(BOXES, name)
    assert "param[" in api.refuse(BOXES, number, label("good", 0, 0, 1, 1), label("a", *box))
    assert api.labels(BOXES, number) == {}


@pytest.mark.parametrize("orientation", [1, *TURNS])
def test_a_box_is_in_the_picture_as_it_is_shown(api: Client, name: str, orientation: int) -> None:
    """A camera that is held upright stores the picture lying."""
    number = api.create(BOXES, name)
    content = text_of(turned(landscape(WIDTH, HEIGHT), orientation))
    api.add(BOXES, number, label("a", 0, 0, WIDTH, HEIGHT), entity_content=content)
    said = api.refuse(BOXES, number, label("a", 0, 0, HEIGHT, WIDTH), entity_content=content)
    assert f"{WIDTH} x {HEIGHT}" in said


def test_a_box_means_nothing_elsewhere(api: Client, name: str) -> None:
    for kind in (CLASSES, SEGMENTS, SOUNDS, TEXTS):
        number = api.create(kind, name)
        api.add(kind, number, label("a", -5, "x", None, 9999))
        assert api.labels(kind, number) == {"a": 1}


# -- contents


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_pictures(api: Client, name: str, kind: str) -> None:
    number = api.create(CLASSES, name)
    content = text_of(picture(kind=kind))
    api.add(CLASSES, number, label("a"), entity_content=content)
    lines = "\r\n".join(content[at : at + 76] for at in range(0, len(content), 76))
    api.add(CLASSES, number, label("a"), entity_content=lines)  # as MIME encoders do
    assert api.labels(CLASSES, number) == {"a": 1}


def noise(size: int) -> bytes:
    """A PNG of `size` bytes, in chunks that decoders take: OpenCV 4.14 none of over 8 MB."""
    plain = picture(kind="PNG")
    at = plain.index(b"IDAT") - 4
    left, chunks = size - len(plain), []
    while left:
        chunk = b"prIv" + bytes(min(left, 1 << 20) - 12)
        chunks.append((len(chunk) - 4).to_bytes(4, "big") + chunk + crc32(chunk).to_bytes(4, "big"))
        left -= len(chunks[-1])
    return plain[:at] + b"".join(chunks) + plain[at:]


def test_the_largest_picture(api: Client, name: str) -> None:
    number = api.create(CLASSES, name)
    most = 10 << 20
    api.add(CLASSES, number, label("a"), entity_content=text_of(noise(most)))
    assert "10" in api.refuse(CLASSES, number, entity_content=text_of(noise(most + 1)))
    assert "param[" in api.refuse(CLASSES, number, entity_content="A" * (16 << 20))
    assert api.labels(CLASSES, number) == {"a": 1}


def without_its_end(image: bytes) -> bytes:
    return image[: len(image) * 3 // 4]


WRONG_PICTURES: Dict[str, Any] = {
    "missing": ...,
    "null": None,
    "empty": "",
    "number": 5,
    "list": [],
    "no base64": "-_",
    "data url": f"data:image/jpeg;base64,{CONTENT[CLASSES]}",
    "text": text_of(b"a text"),
    "sound": CONTENT[SOUNDS],
    "GIF": text_of(encoded(landscape(), "GIF")),
    "half a JPEG": text_of(without_its_end(picture())),
    "half a PNG": text_of(without_its_end(picture(1))),
    "a header alone": text_of(picture()[:400]),
    "zeros": text_of(bytes(1000)),
}


@pytest.mark.parametrize("wrong", WRONG_PICTURES)
@pytest.mark.parametrize("kind", [CLASSES, BOXES, SEGMENTS])
def test_what_is_no_picture(api: Client, name: str, kind: str, wrong: str) -> None:
    number = api.create(kind, name)
    api.refuse(kind, number, entity_content=WRONG_PICTURES[wrong])
    # The next is taken all the same.
    api.add(kind, number)


def test_bombs(api: Client, name: str) -> None:
    """By the header alone: no decoder sees them."""
    number = api.create(CLASSES, name)
    image = bytearray(picture(kind="PNG"))
    image[16:24] = (20000).to_bytes(4, "big") * 2
    assert "20000 x 20000" in api.refuse(CLASSES, number, entity_content=text_of(bytes(image)))


@pytest.mark.parametrize(
    "data",
    [
        sound(1),
        sound(15),
        sound(3, rate=44100, channels=2),
        sound(3, rate=16000, width=1),
        sound(3, rate=16000, width=3),
        sound(15, rate=34952, width=4, channels=2)[: 4 << 20],
        b"RIFF\xff\xff\xff\x7f" + sound()[8:36] + b"LIST\x04\0\0\0INFO" * 100 + sound()[36:],
    ],
    ids=["1 s", "15 s", "stereo", "8 bits", "24 bits", "4 MiB", "chunks"],
)
def test_sounds(api: Client, name: str, data: bytes) -> None:
    number = api.create(SOUNDS, name)
    assert len(data) <= 4 << 20
    api.add(SOUNDS, number, label("a"), entity_content=text_of(data))
    assert api.labels(SOUNDS, number) == {"a": 1}


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


# Of the header that `wave` writes: the format is at 20, channels at 22, rate at 24, bits at 34.
WRONG_SOUNDS: Dict[str, bytes] = {
    "short": sound(0.99),
    "long": sound(15.01),
    "nothing": sound(0),
    "large": sound(14, rate=48000, channels=2, width=4),
    "mu-law": patched(sound(), 20, b"\x07\0"),
    "no channels": patched(sound(), 22, b"\0\0"),
    "no rate": patched(sound(), 24, bytes(4)),
    "no bits": patched(sound(), 34, b"\0\0"),
    "cut short": sound()[:-2],
    "a header alone": sound()[:44],
    "half a header": sound()[:30],
    "MP3": b"ID3" + bytes(3000),
    "picture": picture(),
    "chunks": b"RIFF\xff\xff\xff\x7fWAVE" + b"junk\0\0\0\0" * 100_000,
    "a chunk without end": sound()[:36] + b"junk\xff\xff\xff\x7f" + sound()[36:],
}


@pytest.mark.parametrize("wrong", WRONG_SOUNDS)
def test_what_is_no_sound(api: Client, name: str, wrong: str) -> None:
    number = api.create(SOUNDS, name)
    said = api.refuse(SOUNDS, number, entity_content=text_of(WRONG_SOUNDS[wrong]))
    assert "param[entity_content]" in said or "over" in said


def test_a_sound_behind_many_chunks(api: Client, name: str) -> None:
    """Half a million of them would take seconds, and the daemon's threads."""
    number = api.create(SOUNDS, name)
    data = b"RIFF\xff\xff\xff\x7f" + sound()[8:36] + b"junk\0\0\0\0" * 5000 + sound()[36:]
    assert "over 4096 chunks" in api.refuse(SOUNDS, number, entity_content=text_of(data))


@pytest.mark.parametrize("text", ["x", "好" * 10_000, "a\n\tb\0c", "🙂" * 10_000, " "])
def test_texts(api: Client, name: str, text: str) -> None:
    number = api.create(TEXTS, name)
    api.add(TEXTS, number, label("a"), entity_content=text)
    assert api.labels(TEXTS, number) == {"a": 1}


@pytest.mark.parametrize("text", ["", "x" * 10_001, "好" * 10_001, None, 5, ...])
def test_what_is_no_text(api: Client, name: str, text: object) -> None:
    number = api.create(TEXTS, name)
    assert "param[entity_content]" in api.refuse(TEXTS, number, entity_content=text)


# -- bodies


@pytest.mark.parametrize("call", EVERY_CALL)
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"  ", b"[]", b"null", b"5", b'"x"', b"{", b"type=x", b"\xff"),
        *(b"[" * 100_000, b'{"type": "\xff"}', b'{"dataset_id": ' + b"[" * 100_000),
    ],
    ids=lambda body: ascii(body[:12]),
)
def test_bodies_that_are_no_object(api: Client, call: str, body: bytes) -> None:
    assert refused(api.call(call, body)) == 406001


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json;charset=UTF-8"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
    ],
)
def test_json_whatever_the_content_type(api: Client, headers: Dict[str, str]) -> None:
    path = f"{BASE}{LIST}?access_token={api.token}"
    body = b"\xef\xbb\xbf" + dumped({"type": CLASSES, "unknown": {"x": [1]}, "num": None})
    assert "results" in api.daemon.post(path, body, headers).json


def test_of_a_name_that_stands_twice_the_last_holds(api: Client) -> None:
    assert "results" in api.call(LIST, b'{"type": 5, "type": "%s"}' % CLASSES.encode())


def test_messagepack_for_who_asks_for_it(api: Client) -> None:
    path = f"{BASE}{LIST}?access_token={api.token}"
    answer = api.daemon.post(path, dumped({"type": CLASSES}), {"Accept": "application/msgpack"})
    assert answer.headers["content-type"].startswith("application/msgpack")


def test_routes_that_are_not_there(api: Client) -> None:
    for path in ("dataset/rename", "dataset/", "", "label/create"):
        assert refused(api.call(path, {})) == 3
    for method in ("GET", "PUT"):
        answer = api.daemon.request(method, f"{BASE}{LIST}?access_token={api.token}")
        assert (answer.status, answer.json["error_code"]) == (200, 3)


def test_without_a_token(api: Client) -> None:
    for call in EVERY_CALL:
        answer = api.daemon.post(f"{BASE}{call}", b"{}")
        assert (answer.status, answer.json["error_code"]) == (200, 100)


class Poster(threading.Thread):
    """Adds one picture after the other until the daemon is gone."""

    def __init__(self, api: Client, number: int, first: int) -> None:
        super().__init__()
        self._api = api
        self._number = number
        self._first = first
        self.answered = 0

    def run(self) -> None:
        with suppress(OSError, HTTPException):
            while True:
                content = text_of(picture(self._first + self.answered))
                body = self._api.entity(CLASSES, self._number, label("a"), entity_content=content)
                path = f"{BASE}{ADD}?access_token={self._api.token}"
                assert list(self._api.daemon.post(path, dumped(body)).json) == ["log_id"]
                self.answered += 1


def test_what_was_answered_outlasts_a_kill(tmp_path: Path) -> None:
    """And what was not is there as a whole, or not at all."""
    (tmp_path / "models").mkdir()
    key = new_key(tmp_path / "state", "field")
    number, answered = 0, 0
    for enough in (1, 7, 20):
        with RunningDaemon(models=tmp_path / "models", state=tmp_path / "state") as daemon:
            api = client_of(daemon, key)
            number = number or api.create(CLASSES, "field")
            before = api.labels(CLASSES, number).get("a", 0)
            assert answered <= before <= answered + 1
            poster = Poster(api, number, 1 + before)
            poster.start()
            wait_for(lambda poster=poster, enough=enough: poster.answered >= enough)  # type: ignore[misc]
            daemon.process.kill()
            poster.join()
            answered = before + poster.answered
    with RunningDaemon(models=tmp_path / "models", state=tmp_path / "state") as daemon:
        api = client_of(daemon, key)
        assert answered <= api.labels(CLASSES, number)["a"] <= answered + 1
        api.add(CLASSES, number, label("a"), entity_content=text_of(picture(9999)))
