"""Pictures that crash a model: remembered by digest, kept for whoever wants to reproduce it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from pathlib import Path
from typing import Set

_log = logging.getLogger(__name__)


class Poison:
    """The poison pictures of one model, as files named by SHA-256 in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: Set[str] = set()

    async def load(self) -> None:
        """Knows again what an earlier run of the daemon has kept."""
        loop = asyncio.get_running_loop()
        self._digests = await loop.run_in_executor(None, self._read)

    def __contains__(self, image: bytes) -> bool:
        return bool(self._digests) and hashlib.sha256(image).hexdigest() in self._digests

    async def add(self, image: bytes) -> None:
        digest = hashlib.sha256(image).hexdigest()
        self._digests.add(digest)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, self._write, digest, image)
            _log.error("kept the picture that crashes the model: %s", self._folder / digest)
        except OSError as error:
            _log.error("the picture %s crashes the model and cannot be kept: %s", digest, error)

    def _read(self) -> Set[str]:
        if not self._folder.is_dir():
            return set()
        return {entry.name for entry in self._folder.iterdir() if len(entry.name) == 64}

    def _write(self, digest: str, image: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{digest}.part"
        part.write_bytes(image)
        os.replace(part, self._folder / digest)
