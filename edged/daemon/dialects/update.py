"""The remote model update of EdgeBoard's platform.

Source: the "remote model update" page of its documents.
"""

from __future__ import annotations

from pathlib import Path
from typing import List

import msgspec
from aiohttp import web

from edged.config import Settings
from edged.daemon.answers import respond
from edged.daemon.bodies import parse_mid
from edged.daemon.dialects.models import permit
from edged.daemon.live import Live
from edged.daemon.packages import Form, Packages
from edged.daemon.routes import Caller, Route
from edged.errors import BadMid, BadPackage, EdgedError, WrongDigest
from edged.registry.install import Place, find

PATH = "/api/model/update"


class Reply(msgspec.Struct):
    errno: int
    message: str


class ModelUpdate:
    def __init__(self, live: Live, settings: Settings) -> None:
        self._live = live
        self._packages = Packages(Path(settings.state))

    def routes(self) -> List[Route]:
        return [Route("POST", PATH, self._update)]

    async def _update(self, request: web.Request, caller: Caller) -> web.Response:
        form = await self._packages.form(request)
        try:
            place = self._place(form, caller)
        except EdgedError:
            form.file.close()
            raise
        await self._live.install(form.file, place)
        return respond(request, Reply(0, "success"))

    def _place(self, form: Form, caller: Caller) -> Place:
        """Raises BadMid, UnknownModel, BadPackage, WrongDigest, in the order of their codes."""
        mid = _mid(form.fields.get("model_id", ""))
        entry = find([served.entry for served in self._live.service.models], mid)
        name = form.fields.get("model_name") or entry.name
        permit(caller, entry.name, name)
        if not form.file.tell():
            raise BadPackage("the form's field `file` is missing or empty")
        if form.fields.get("md5", "").lower() != form.md5:
            raise WrongDigest(f"the md5 of the file is {form.md5}")
        return Place(entry.folder, mid, name)


def _mid(text: str) -> int:
    if not text:
        raise BadMid("the form's field `model_id` is missing or empty")
    return parse_mid(text)


def speaks(path: str) -> bool:
    return path.rstrip("/") == PATH


def error_response(request: web.Request, error: EdgedError) -> web.Response:
    """The one place where an error takes this call's form."""
    return respond(request, Reply(error.code, str(error)), error.http_status)
