"""Request -> predictions: which model, the limits of a picture, one deadline for all."""

from __future__ import annotations

import asyncio
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

from edged import wire
from edged.config import Settings
from edged.daemon.pool import Pool
from edged.errors import (
    DeadlinePassed,
    EdgedError,
    ImageTooLarge,
    ModelUnavailable,
    UnknownModel,
)
from edged.image_header import read_header
from edged.registry.registry import Entry
from edged.results import Prediction


class Served(NamedTuple):
    """A model's folder, and its workers where there is something to serve."""

    entry: Entry
    pool: Optional[Pool]

    @property
    def state(self) -> str:
        return self.pool.state if self.pool else "failed"

    @property
    def reason(self) -> str:
        return self.pool.reason if self.pool else self.entry.reason


class Request(NamedTuple):
    """What a dialect has read. `deadline` is in the loop's time."""

    image: bytes
    options: wire.PredictOptions
    deadline: float


class Service:
    """What every dialect calls. `models` is all that the folder holds, failed ones too."""

    def __init__(self, models: Sequence[Served], settings: Settings) -> None:
        self.models = list(models)
        self._settings = settings
        self._by_mid: Dict[int, Served] = {}
        for served in models:
            if served.entry.mid is not None:
                # Of two folders that claim one mid both are refused, and either may say so.
                self._by_mid.setdefault(served.entry.mid, served)

    async def predict(self, mid: int, request: Request) -> Prediction:
        """Raises EdgedError: of the picture, of the model, or of the time it took."""
        self._check(request)
        return await self._pool(mid).predict(request.image, request.options, request.deadline)

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
            return await self._pool(mid).predict(request.image, request.options, request.deadline)
        except EdgedError as error:
            return error

    def _pool(self, mid: int) -> Pool:
        served = self._by_mid.get(mid)
        if served is None:
            raise UnknownModel(f"there is no model with mid {mid}")
        if served.pool is None:
            raise ModelUnavailable(
                f"model {served.entry.name} cannot be served: {served.entry.reason}"
            )
        return served.pool

    def _check(self, request: Request) -> None:
        if asyncio.get_running_loop().time() > request.deadline:
            raise DeadlinePassed()
        header = read_header(request.image)
        settings = self._settings
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
