"""Datasets for the tests of export and import, and what is in one of them."""

from __future__ import annotations

import io
import wave
from contextlib import closing
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple, Union

from edged.datasets.export import to_folder
from edged.datasets.formats import FORMATS
from edged.datasets.formats.source import Source, opened_source
from edged.datasets.importing import Checked, add, check
from edged.datasets.label_names import label_of
from edged.datasets.reader import Reader
from edged.datasets.snapshot import Snapshot
from edged.datasets.store import Store
from edged.datasets.types import Box, Content, Kind, Label, NewEntity
from edged.image_header import read_header
from tests.datasets.stores import ENOUGH, entities_of
from tests.pictures import encoded, landscape

WIDTH, HEIGHT = 61, 43

Labels = Sequence[Union[str, Label]]


class Told(NamedTuple):
    """What a dataset says of one of its contents. `labels` has (name, origin, box)."""

    labels: Tuple[Tuple[str, str, object], ...]
    reviewed: bool


def picture(number: int, kind: str = "JPEG") -> bytes:
    """Another one for each number."""
    image = landscape(WIDTH, HEIGHT)
    if kind == "JPEG":
        return encoded(image, comment=b"%d" % number)
    image.putpixel((0, 0), (number % 256, number // 256, 0))
    return encoded(image, kind)


def sound(number: int) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes([number]) * 8000)
    return stream.getvalue()


def entity(name: str, data: bytes, *labels: Union[str, Label], reviewed: bool = True) -> NewEntity:
    """For dataset 0, which `filled` puts right."""
    given = [Label(label) if isinstance(label, str) else label for label in labels]
    if data[:4] == b"RIFF":
        content = Content(data, ".wav")
    elif data[:1] in (b"\xff", b"\x89"):
        suffix = ".jpg" if data[:1] == b"\xff" else ".png"
        content = Content(data, suffix, WIDTH, HEIGHT)
    else:
        content = Content(data, ".txt")
    return NewEntity(0, name, content, given, reviewed=reviewed)


def filled(
    folder: Path, kind: Kind, entities: Iterable[NewEntity], name: str = "shop", owner: str = ""
) -> int:
    """A new dataset of the store in `folder`."""
    with closing(Store(folder, ENOUGH)) as store:
        number = store.create(owner, kind, name)
    added(folder, number, *entities)
    return number


def added(folder: Path, dataset: int, *entities: NewEntity) -> None:
    with closing(Store(folder, ENOUGH)) as store:
        for answer in store.add([one._replace(dataset=dataset) for one in entities]):
            assert isinstance(answer, int), answer


def exported(folder: Path, dataset: int, format: str, to: Path) -> Path:
    with closing(Snapshot(folder, dataset)) as snapshot:
        to_folder(snapshot, FORMATS[format], to, quiet)
    return to


def imported(folder: Path, source: Path, format: str, kind: Kind, name: str) -> int:
    """As a new dataset."""
    with opened_source(source) as opened, closing(Store(folder, ENOUGH)) as store:
        read = checked(opened, format, kind)
        number = store.create("", kind, name)
        add(store, number, opened, read, quiet)
    return number


def checked(source: Source, format: str, kind: Kind) -> List[Checked]:
    """Sizes of pictures are those of their headers."""
    return check(source, kind, list(FORMATS[format].read(source, kind)), header_size, quiet)


def quiet(count: int) -> None:
    """Progress that nobody looks at."""


def header_size(image: bytes) -> Tuple[int, int]:
    header = read_header(image)
    return header.width, header.height


def told(folder: Path, dataset: int) -> Dict[bytes, Told]:
    """By content. No two entities of the dataset may have the same."""
    found: Dict[bytes, Told] = {}
    with closing(Reader(folder)) as reader:
        for one in entities_of(reader, dataset):
            content = reader.content(one.digest).read_bytes()
            assert content not in found
            labels = sorted((label.name, label.origin, label.box) for label in one.labels)
            found[content] = Told(tuple(labels), one.reviewed)
    return found


def files_of(folder: Path) -> List[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def boxes() -> Iterator[Box]:
    """In the picture; some of them have no exact sum in binary."""
    yield Box(0, 0, WIDTH, HEIGHT)
    yield Box(0.1, 0.2, 0.2, 0.7)
    yield Box(10, 12, 1, 1)
    yield Box(60.0, 42.0, 1.0, 1.0)
    yield Box(1 / 3, 7.000000001, 17.3, 2 / 3)


DETECTION = (
    entity(
        "street.jpg",
        picture(1),
        *(Label("car", box) for box in boxes()),
        label_of('traffic light <1> & "2"', Box(1, 2, 3, 4)),
    ),
    entity("empty.jpg", picture(2)),
    entity("street.jpg", picture(3), Label("person", Box(2.5, 3, 10, 11)), reviewed=False),
    entity("STREET.png", picture(4, "PNG"), Label("car", Box(5, 5, 5, 5))),
    entity("Straße 1 ..\\x.jpeg", picture(5), Label("car", Box(5, 6, 7, 8))),
    entity("no suffix", picture(6), Label("person", Box(0, 0, 1, 1))),
)
