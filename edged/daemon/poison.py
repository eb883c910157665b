"""Pictures that crash a model: remembered by digest, kept for whoever wants to reproduce it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Dict, List

_log = logging.getLogger(__name__)

# Pictures kept of one model; then the oldest goes. A camera can make a series of them.
_MOST_KEPT = 100


class Poison:
    """The poison pictures of one model, as files named by SHA-256 in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: Dict[str, None] = {}  # oldest first

    async def load(self) -> None:
        """Knows again what an earlier run of the daemon has kept."""
        loop = asyncio.get_running_loop()
        try:
            known = await loop.run_in_executor(None, self._read)
        except OSError as error:
            _log.error("the poison pictures of earlier runs cannot be read: %s", error)
            known = []
        self._digests = dict.fromkeys(known)

    def __contains__(self, image: bytes) -> bool:
        return bool(self._digests) and hashlib.sha256(image).hexdigest() in self._digests

    def __len__(self) -> int:
        return len(self._digests)

    async def add(self, image: bytes) -> None:
        digest = hashlib.sha256(image).hexdigest()
        self._digests[digest] = None
        superseded = list(self._digests)[:-_MOST_KEPT]
        for old in superseded:
            del self._digests[old]
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, self._write, digest, image, superseded)
            _log.error("kept the picture that crashes the model: %s", self._folder / digest)
        except OSError as error:
            _log.error("the picture %s crashes the model and cannot be kept: %s", digest, error)

    def _read(self) -> List[str]:
        if not self._folder.is_dir():
            return []
        kept = [entry for entry in self._folder.iterdir() if len(entry.name) == 64]
        return [entry.name for entry in sorted(kept, key=lambda entry: entry.stat().st_mtime)]

    def _write(self, digest: str, image: bytes, superseded: List[str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in superseded:
            with suppress(FileNotFoundError):
                (self._folder / old).unlink()
        part = self._folder / f"{digest}.part"
        part.write_bytes(image)
        os.replace(part, self._folder / digest)
