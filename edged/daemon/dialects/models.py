"""The models as resources: looked at, put, changed and removed."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Awaitable, Callable, List, Optional

from aiohttp import web

from edged.config import Settings
from edged.daemon.bodies import parse_mid
from edged.daemon.live import Live
from edged.daemon.ops import describe, describe_all
from edged.daemon.packages import Packages
from edged.daemon.routes import Caller, Handler, Route
from edged.daemon.service import Served
from edged.errors import InvalidArgument, NotPermitted
from edged.registry.install import Place, find

MODELS = "/api/models"

_Change = Callable[[int], Awaitable[Served]]


class ModelChanges:
    """The routes of whoever may change models; what they look at is in `ops.py`."""

    def __init__(self, live: Live, settings: Settings) -> None:
        self._live = live
        self._packages = Packages(Path(settings.state))

    def routes(self) -> List[Route]:
        one = f"{MODELS}/{{mid}}"
        changes = {
            "enable": self._live.enable,
            "disable": self._live.disable,
            "reload": self._live.reload,
            "rollback": self._live.roll_back,
        }
        return [
            Route("POST", MODELS, self._add),
            Route("POST", f"{MODELS}/reload", self._rescan),
            Route("PUT", one, self._put),
            Route("DELETE", one, self._changing(self._live.remove)),
            *(
                Route("POST", f"{one}/{name}", self._changing(change))
                for name, change in changes.items()
            ),
        ]

    async def _add(self, request: web.Request, caller: Caller) -> web.Response:
        folder = request.query.get("folder", "").strip()
        if not re.fullmatch(r"(?![.])[\w.-]{1,200}", folder):
            raise InvalidArgument("the query's `folder` must be the name of a folder")
        place = Place(folder, name=request.query.get("name"))
        return await self._install(request, caller, place)

    async def _put(self, request: web.Request, caller: Caller) -> web.Response:
        mid, name = parse_mid(request.match_info["mid"]), request.query.get("name")
        entries = [served.entry for served in self._live.service.models]
        if any(entry.mid == mid for entry in entries):
            entry = find(entries, mid)
            place = Place(entry.folder, mid, name or entry.name)
        else:
            place = Place(f"{mid}-{name}" if name else str(mid), mid, name)
        return await self._install(request, caller, place)

    async def _install(self, request: web.Request, caller: Caller, place: Place) -> web.Response:
        now = self._live.service.of(place.folder)
        permit(caller, place.name, *([now.entry.name] if now else []))
        file = await self._packages.body(request)
        return describe(request, await self._live.install(file, place))

    async def _rescan(self, request: web.Request, caller: Caller) -> web.Response:
        permit(caller, None)
        await self._live.rescan()
        return describe_all(request, self._live.service)

    def _changing(self, change: _Change) -> Handler:
        return partial(self._changed, change=change)

    async def _changed(self, request: web.Request, caller: Caller, change: _Change) -> web.Response:
        mid = parse_mid(request.match_info["mid"])
        permit(caller, self._live.service.by_mid(mid).entry.name)
        return describe(request, await change(mid))


def permit(caller: Caller, *names: Optional[str]) -> None:
    """Raises NotPermitted unless the key is for the models of all these names, or for any."""
    if caller.models is not None and not set(names) <= set(caller.models):
        raise NotPermitted("the key may not change this model")
