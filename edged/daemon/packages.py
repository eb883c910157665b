"""Models as they come over HTTP: zips, kept on the disk and not in memory while they stream in."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import tempfile
from contextlib import closing
from pathlib import Path
from typing import IO, Dict, NamedTuple

from aiohttp import web

from edged.daemon.forms import boundary_of, find_parts
from edged.daemon.uploads import save_body, write_all
from edged.errors import BadPackage, NotKept
from edged.registry.archive import MAX_BYTES

# A gigabyte over a slow line.
_SECONDS = 1800.0
_MOST_FIELD_BYTES = 1024
_CHUNK = 1 << 20


class Form(NamedTuple):
    """`fields` are those beside `file`, of which the first bytes are kept; `md5` is the file's,
    32 lower-case hex digits.
    """

    file: IO[bytes]
    md5: str
    fields: Dict[str, str]


class Packages:
    """Files without a name in the state directory: whatever happens, none is left there."""

    def __init__(self, state: Path) -> None:
        self._state = state

    async def body(self, request: web.Request) -> IO[bytes]:
        """The whole body. Raises as `read_body`, BadPackage when it is empty, NotKept."""
        loop = asyncio.get_running_loop()
        try:
            file = await loop.run_in_executor(None, self._new)
            try:
                await save_body(request, MAX_BYTES, loop.time() + _SECONDS, file)
                if await loop.run_in_executor(None, _size, file) == 0:
                    raise BadPackage("the body is empty: it must be the zip")
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise NotKept(f"the zip cannot be kept in {self._state}: {error.strerror}") from None
        return file

    async def form(self, request: web.Request) -> Form:
        """The form's field `file`, which may be empty. Raises as `body`, and InvalidArgument
        when the body is no form.
        """
        boundary = boundary_of(request.headers.get("Content-Type", ""))
        with await self.body(request) as body:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, self._taken_apart, body, boundary)

    def _taken_apart(self, body: IO[bytes], boundary: bytes) -> Form:
        with closing(mmap.mmap(body.fileno(), 0, access=mmap.ACCESS_READ)) as content:
            parts = find_parts(content, boundary)
            whole = parts.pop("file", range(0))
            fields = {
                name: content[part.start : min(part.stop, part.start + _MOST_FIELD_BYTES)]
                for name, part in parts.items()
            }
            try:
                file = self._new()
                md5 = hashlib.md5()
                for start in range(whole.start, whole.stop, _CHUNK):
                    chunk = content[start : min(start + _CHUNK, whole.stop)]
                    md5.update(chunk)
                    write_all(file, chunk)
            except OSError as error:
                raise NotKept(f"the zip cannot be kept: {error.strerror}") from None
        text = {name: value.decode("utf-8", "replace").strip() for name, value in fields.items()}
        return Form(file, md5.hexdigest(), text)

    def _new(self) -> IO[bytes]:
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._state, buffering=0)


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size
