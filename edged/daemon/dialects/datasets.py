"""The API of EasyDL's datasets in Baidu's cloud. Source: "API上传" (dataset management)."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Awaitable, Callable, Dict, List, NamedTuple

import msgspec
from aiohttp import web

from edged.config import Settings
from edged.daemon.bodies import decode_base64, parse_json
from edged.daemon.dialects import baidu
from edged.daemon.dialects.params import Raw, flag_of, labels_of, number_of, text_of
from edged.daemon.pictures import Pictures
from edged.daemon.routes import Caller, Route
from edged.daemon.service import deadline_of
from edged.daemon.uploads import Hold, read_body
from edged.datasets import rules
from edged.datasets.types import Content, Dataset, Kind, NewEntity, Page
from edged.datasets.writer import Datasets
from edged.errors import BadParam, DatasetUnknown, EdgedError, NotOwner, PoisonImage, StoreError
from edged.image_header import read_header

MESSAGES: Dict[int, str] = {
    406000: "internal server error",
    406001: "param[xx] invalid",
    406002: "dataset not exist",
    406003: "dataset already exists",
    406004: "dataset can not be modified temporarily",
    406005: "label not exist",
    406006: "no permission to modify the dataset",
    406007: "dataset can not be modified while smart annotation is running",
    406008: "quota exceeded",
}
"""The codes of these routes, beside those below 1000 of all Baidu dialects."""

RESERVED = frozenset({406007})
"""Codes without a cause on a board."""

_BASE = "/rpc/2.0/easydl/"
_PAGE, _MOST_OF_A_PAGE = 20, 100
# A status, where nothing is under way.
_NORMAL = "normal"
# SQLite's integers.
_MOST_NUMBER = 2**63 - 1


class Fields(msgspec.Struct):
    """Each is read when its turn comes, since that the dataset is not there goes before all."""

    type: Raw = Raw()
    dataset_id: Raw = Raw()
    dataset_name: Raw = Raw()
    start: Raw = Raw()
    num: Raw = Raw()
    appendLabel: Raw = Raw()
    entity_content: Raw = Raw()
    entity_name: Raw = Raw()
    labels: Raw = Raw()
    label_name: Raw = Raw()


class Created(baidu.Reply):
    dataset_id: int


class DatasetRow(msgspec.Struct):
    dataset_id: int
    dataset_name: str
    type: str
    status: str
    special_status: str = ""


class DatasetRows(baidu.Reply):
    total_num: int
    results: List[DatasetRow]


class LabelRow(msgspec.Struct):
    label_id: str
    label_name: str
    entity_count: int


class LabelRows(baidu.Reply):
    total_num: int
    results: List[LabelRow]


class _Call(NamedTuple):
    fields: Fields
    caller: Caller
    deadline: float


_Answer = Callable[[_Call], Awaitable[baidu.Reply]]


def speaks(path: str) -> bool:
    """Whether a client of this API asks for `path`, even if there is no such route."""
    return re.match("/+rpc/2[.]0/easydl(/|$)", path) is not None


def code_of(error: EdgedError) -> int:
    """What has a number of its own elsewhere is the client's fault or the server's here."""
    code = baidu.code_of(error)
    if code < 1000 or code in MESSAGES:
        return code
    clients = error.http_status < 500 or isinstance(error, PoisonImage)
    return BadParam.code if clients else StoreError.code


def error_response(request: web.Request, error: EdgedError) -> web.Response:
    """The one place where an error takes this API's form."""
    code = code_of(error)
    return baidu.refusal(request, error, code, MESSAGES.get(code) or baidu.MESSAGES[code])


class DatasetApi:
    def __init__(
        self, datasets: Datasets, pictures: Pictures, settings: Settings, hold: Hold
    ) -> None:
        self._datasets = datasets
        self._pictures = pictures
        self._settings = settings
        self._hold = hold

    def routes(self) -> List[Route]:
        answers: Dict[str, _Answer] = {
            "dataset/create": self._create,
            "dataset/list": self._list,
            "dataset/addentity": self._add_entity,
            "dataset/delete": self._delete,
            "label/list": self._list_labels,
            "label/delete": self._delete_label,
        }
        return [
            Route("POST", _BASE + call, partial(self._answer, answer=answer))
            for call, answer in answers.items()
        ]

    async def _answer(self, request: web.Request, caller: Caller, answer: _Answer) -> web.Response:
        deadline = deadline_of(self._settings)
        body = await read_body(request, self._settings.max_body, deadline, self._hold)
        reply = await answer(_Call(parse_json(body, Fields), caller, deadline))
        return baidu.answer(request, reply)

    async def _create(self, call: _Call) -> baidu.Reply:
        kind = _kind(call.fields)
        name = text_of(call.fields.dataset_name, "dataset_name")
        rules.check_dataset_name(name)
        number = await self._datasets.create(call.caller.key, kind, name)
        return Created(baidu.new_log_id(), number)

    async def _list(self, call: _Call) -> baidu.Reply:
        kind, page = _kind(call.fields), _page(call.fields)
        total, found = await self._datasets.list(call.caller.key, kind, page)
        rows = [DatasetRow(one.id, one.name, one.kind, one.busy or _NORMAL) for one in found]
        return DatasetRows(baidu.new_log_id(), total, rows)

    async def _list_labels(self, call: _Call) -> baidu.Reply:
        dataset = await self._dataset(call)
        total, found = await self._datasets.labels(dataset.id, _page(call.fields))
        rows = [LabelRow(str(one.id), one.name, one.entities) for one in found]
        return LabelRows(baidu.new_log_id(), total, rows)

    async def _add_entity(self, call: _Call) -> baidu.Reply:
        dataset, fields = await self._dataset(call), call.fields
        append = flag_of(fields.appendLabel, "appendLabel", default=True)
        name = text_of(fields.entity_name, "entity_name")
        rules.check_entity_name(name)
        labels = labels_of(fields.labels, boxes=dataset.kind == "OBJECT_DETECTION")
        text = text_of(fields.entity_content, "entity_content")
        content = await self._content(dataset.kind, text, call.deadline)
        rules.check_labels(labels, dataset.kind, content.width, content.height)
        await self._datasets.add(NewEntity(dataset.id, name, content, labels, append))
        return baidu.Reply(baidu.new_log_id())

    async def _delete(self, call: _Call) -> baidu.Reply:
        await self._datasets.delete((await self._dataset(call)).id)
        return baidu.Reply(baidu.new_log_id())

    async def _delete_label(self, call: _Call) -> baidu.Reply:
        dataset = await self._dataset(call)
        await self._datasets.delete_label(dataset.id, text_of(call.fields.label_name, "label_name"))
        return baidu.Reply(baidu.new_log_id())

    async def _dataset(self, call: _Call) -> Dataset:
        """Raises DatasetUnknown, NotOwner, and then BadParam for a type that is not its own."""
        number = number_of(call.fields.dataset_id, "dataset_id")
        if not 0 < number <= _MOST_NUMBER:
            raise DatasetUnknown()
        dataset = await self._datasets.dataset(number)
        if dataset.owner != call.caller.key:
            raise NotOwner()
        if _kind(call.fields) != dataset.kind:
            raise BadParam(f"param[type] is not {dataset.kind}, which the dataset is of")
        return dataset

    async def _content(self, kind: Kind, text: str, deadline: float) -> Content:
        """Raises BadParam for what is not of that kind, and as `Pictures.size`."""
        if kind == "TEXT_CLASSIFICATION":
            data = text.encode()
            rules.check_text(data)
            return Content(data, ".txt")
        if kind == "SOUND_CLASSIFICATION":
            data = _base64(text, rules.MOST_SOUND_BYTES)
            # It may have thousands of chunks.
            await asyncio.get_running_loop().run_in_executor(None, rules.check_sound, data)
            return Content(data, ".wav")
        data = _base64(text, rules.MOST_IMAGE_BYTES)
        width, height = await self._pictures.size(data, deadline)
        return Content(data, rules.SUFFIXES[read_header(data).format], width, height)


def _kind(fields: Fields) -> Kind:
    name = text_of(fields.type, "type")
    for kind in rules.KINDS:
        if name == kind:
            return kind
    raise BadParam(f"param[type] is none of {', '.join(rules.KINDS)}")


def _page(fields: Fields) -> Page:
    start = number_of(fields.start, "start", default=0)
    count = number_of(fields.num, "num", default=_PAGE)
    if start < 0:
        raise BadParam("param[start] is under 0")
    if not 1 <= count <= _MOST_OF_A_PAGE:
        raise BadParam(f"param[num] is not 1 to {_MOST_OF_A_PAGE}")
    return Page(start, count)


def _base64(text: str, most: int) -> bytes:
    data = decode_base64(text, "entity_content", -(-most // 3) * 4)
    if len(data) > most:
        raise BadParam(f"param[entity_content] is over {most >> 20} MiB")
    return data
