"""Request -> predictions: which model, the limits of a picture, one deadline for all."""

from __future__ import annotations

import asyncio
import time
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from edged import wire
from edged.config import Settings
from edged.daemon import record
from edged.daemon.pool import Pool
from edged.errors import (
    DeadlinePassed,
    EdgedError,
    ImageTooLarge,
    ModelUnavailable,
    NotPermitted,
    UnknownModel,
)
from edged.image_header import read_header
from edged.registry.entry import Entry
from edged.registry.registry import order
from edged.registry.spec import ModelSpec, Task
from edged.results import Prediction

Offer = Callable[[ModelSpec, bytes, Prediction], None]


class Served(NamedTuple):
    """A model's folder, and its workers where there is something to serve."""

    entry: Entry
    pool: Optional[Pool]

    @property
    def state(self) -> str:
        if self.pool is not None:
            return self.pool.state
        return "disabled" if self.entry.disabled and self.entry.spec else "failed"

    @property
    def reason(self) -> str:
        """Why it is not served, or not as it lies in its folder."""
        reason = self.pool.reason if self.pool else self.entry.reason
        return reason or self.entry.note


class Request(NamedTuple):
    """What a dialect has read. `deadline` is in the loop's time; `allowed` are the names of
    the models that the caller may use, None for any."""

    image: bytes
    options: wire.PredictOptions
    deadline: float
    allowed: Optional[Tuple[str, ...]] = None


def deadline_of(settings: Settings) -> float:
    """Of a request that arrives now, in the loop's time."""
    return asyncio.get_running_loop().time() + settings.deadline


def check_limits(image: bytes, settings: Settings) -> None:
    """Raises BadImage or ImageTooLarge by the header alone, before any decoder sees it."""
    header = read_header(image)
    if max(header.width, header.height) > settings.max_side:
        raise ImageTooLarge(
            f"the image is {header.width} x {header.height} pixels, "
            f"more than {settings.max_side} on a side"
        )
    if header.width * header.height > settings.max_megapixels * 1e6:
        raise ImageTooLarge(
            f"the image is {header.width} x {header.height} pixels, "
            f"more than {settings.max_megapixels:g} million"
        )


class _Catalog:
    """All models at one moment; never changed, only replaced as a whole."""

    def __init__(self, models: Iterable[Served]) -> None:
        self.models = tuple(sorted(models, key=lambda served: order(served.entry)))
        self.by_mid: Dict[int, Served] = {}
        self.by_name: Dict[str, Served] = {}
        self.by_folder = {served.entry.folder: served for served in self.models}
        for served in self.models:
            if served.entry.mid is not None:
                # Of two folders that claim one mid both are refused, and either may say so.
                self.by_mid.setdefault(served.entry.mid, served)
            self.by_name.setdefault(served.entry.name, served)


class Service:
    """What every dialect calls. `models` is all that the folder holds, failed ones too.

    A request is asked of the version that serves its model when it is admitted: between
    finding that and queueing it the loop does nothing else, so no request meets a version
    that is not served any more.

    `offer` gets every picture with its prediction, as soon as there is one, and must not wait.
    """

    def __init__(self, models: Iterable[Served], settings: Settings, offer: Offer) -> None:
        self._catalog = _Catalog(models)
        self._settings = settings
        self._offer = offer

    @property
    def models(self) -> Tuple[Served, ...]:
        return self._catalog.models

    def put(self, served: Served) -> None:
        """In the place of what its folder was until now, if it was there."""
        self._catalog = _Catalog({**self._catalog.by_folder, served.entry.folder: served}.values())

    def drop(self, folder: str) -> None:
        left = (served for served in self.models if served.entry.folder != folder)
        self._catalog = _Catalog(left)

    def of(self, folder: str) -> Optional[Served]:
        return self._catalog.by_folder.get(folder)

    def by_mid(self, mid: int) -> Served:
        """Raises UnknownModel."""
        served = self._catalog.by_mid.get(mid)
        if served is None:
            raise UnknownModel(f"there is no model with mid {mid}")
        return served

    def by_name(self, name: str, task: Task) -> Served:
        """Raises UnknownModel, for a model of another task too."""
        served = self._catalog.by_name.get(name)
        if served is None:
            raise UnknownModel(f"there is no model {name[:64]}")
        spec = served.entry.spec
        if spec is not None and spec.task != task:
            raise UnknownModel(f"the model {name} is for {spec.task}, not for {task}")
        return served

    def readers(self) -> List[Tuple[Served, Tuple[str, ...]]]:
        """The OCR models, and the languages that each of them reads."""
        return [
            (served, served.entry.spec.reading.languages)
            for served in self.models
            if served.entry.spec is not None and served.entry.spec.reading is not None
        ]

    def admit(self, served: Served, allowed: Optional[Tuple[str, ...]], deadline: float) -> None:
        """Raises, before a picture is received, NotPermitted and what `Pool.admit` does."""
        record.current().visit(served.entry.mid)
        _pool(served, allowed).admit(deadline)

    async def predict(self, served: Served, request: Request) -> Prediction:
        """Raises EdgedError: of the picture, of the model, or of the time it took."""
        record.current().visit(served.entry.mid)
        self._check(request)
        return await self._answer(served, request)

    async def predict_many(
        self, mids: Sequence[int], request: Request
    ) -> List[Union[Prediction, EdgedError]]:
        """Each model on the same picture, side by side; in the order of `mids`.

        Raises EdgedError only for what is wrong with the picture itself.
        """
        self._check(request)
        outcomes = await asyncio.gather(*(self._one_of_many(mid, request) for mid in mids))
        return list(outcomes)

    async def _one_of_many(self, mid: int, request: Request) -> Union[Prediction, EdgedError]:
        try:
            return await self._answer(self.by_mid(mid), request)
        except EdgedError as error:
            record.current().failed(mid, error)
            return error

    async def _answer(self, served: Served, request: Request) -> Prediction:
        served = self._now(served)
        visit, began = record.current().visit(served.entry.mid), time.monotonic()
        pool = _pool(served, request.allowed)
        prediction = await pool.predict(request.image, request.options, request.deadline)
        visit.answered(prediction, time.monotonic() - began)
        assert served.entry.spec is not None  # or there would be no pool
        self._offer(served.entry.spec, request.image, prediction)
        return prediction

    def _now(self, served: Served) -> Served:
        """What has taken its place since the dialect found it.

        Raises UnknownModel, and ModelUnavailable where that answers something else.
        """
        catalog, entry = self._catalog, served.entry
        now = catalog.by_folder.get(entry.folder)
        if now is None and entry.mid is not None:
            now = catalog.by_mid.get(entry.mid)
        if now is None:
            raise UnknownModel(f"there is no model {entry.name} any more")
        if now.entry.spec and entry.spec and now.entry.spec.task != entry.spec.task:
            raise ModelUnavailable(f"model {entry.name} is for {now.entry.spec.task} now")
        return now

    def _check(self, request: Request) -> None:
        if asyncio.get_running_loop().time() > request.deadline:
            raise DeadlinePassed()
        check_limits(request.image, self._settings)


def _pool(served: Served, allowed: Optional[Tuple[str, ...]]) -> Pool:
    """Raises NotPermitted, and ModelUnavailable for a folder that cannot be served."""
    name = served.entry.name
    if allowed is not None and name not in allowed:
        raise NotPermitted(f"the key may not use the model {name}")
    if served.pool is None:
        why = "is disabled" if served.state == "disabled" else "cannot be served: "
        raise ModelUnavailable(f"model {name} {why}{served.entry.reason}")
    return served.pool
