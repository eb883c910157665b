"""`edged models add|remove|enable|disable|reload|rollback`: of the running daemon, or of none.

The daemon is asked over its door (control.py). Where none is running, the same is done on the
disk, and the next one serves it so.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Callable, Iterator, List, Optional, Union
from urllib.parse import urlencode

import click
import msgspec

from edged import control
from edged.config import Settings
from edged.daemon import single
from edged.daemon.dialects.models import MODELS
from edged.errors import EdgedError, ModelUnavailable
from edged.registry.entry import Entry, fit_name
from edged.registry.install import Library, Place, find
from edged.registry.versions import files_in
from edged.terminal import run, settings_of, settings_options

Offline = Callable[[Library, List[Entry]], str]

_mid = click.argument("mid", type=click.IntRange(min=0))


class _Model(msgspec.Struct):
    mid: Optional[int]
    name: str
    state: str
    reason: str


class _Reply(msgspec.Struct):
    code: int
    msg: str
    data: Union[_Model, List[_Model], msgspec.UnsetType] = msgspec.UNSET


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--mid", type=click.IntRange(min=0), help="Its number; replaces the model that has it."
)
@click.option("--name", help="Its name.")
@settings_options("models", "state")
def add(
    path: Path, mid: Optional[int], name: Optional[str], file: Optional[str], **flags: Any
) -> None:
    """Serve the model in the folder or zip PATH, which is copied.

    It is tried first, and nothing changes when that fails.
    """
    settings = settings_of(file, flags)
    stem = path.resolve().stem if path.is_file() else path.resolve().name
    folder = fit_name(name or stem)

    def offline(library: Library, entries: List[Entry]) -> str:
        place = Place(folder, name=name)
        if mid is not None:
            same = [entry for entry in entries if entry.mid == mid]
            there = find(entries, mid) if same else None
            place = Place(there.folder if there else f"{mid}-{folder}", mid, name)
            if there is not None:
                place = place._replace(name=name or there.name)
        staged = library.stage(path, place, entries)
        run(_try(staged.entry, settings))
        library.keep(place.folder, staged.record)
        return _line(staged.entry.mid, staged.entry.name, "is added")

    method, route = ("POST", MODELS) if mid is None else ("PUT", f"{MODELS}/{mid}")
    query = {"folder": folder} if mid is None else {}
    if name is not None:
        query["name"] = name
    with _packed(path) as archive:
        _change(settings, method, f"{route}?{urlencode(query)}", offline, archive)


@click.command()
@_mid
@settings_options("models", "state")
def remove(mid: int, file: Optional[str], **flags: Any) -> None:
    """Delete the model MID: its folder or zip, and what is kept of it."""

    def offline(library: Library, entries: List[Entry]) -> str:
        entry = find(entries, mid)
        library.remove(entry.folder, mid)
        return _line(mid, entry.name, "is removed")

    _change(settings_of(file, flags), "DELETE", f"{MODELS}/{mid}", offline, done="is removed")


@click.command()
@_mid
@settings_options("models", "state")
def enable(mid: int, file: Optional[str], **flags: Any) -> None:
    """Serve the model MID again."""
    _switch(settings_of(file, flags), mid, "enable", disabled=False)


@click.command()
@_mid
@settings_options("models", "state")
def disable(mid: int, file: Optional[str], **flags: Any) -> None:
    """Serve the model MID no more, until it is enabled. Its memory is free then."""
    _switch(settings_of(file, flags), mid, "disable", disabled=True)


@click.command()
@click.argument("mid", type=click.IntRange(min=0), required=False)
@settings_options("models", "state")
def reload(mid: Optional[int], file: Optional[str], **flags: Any) -> None:
    """Take up what has changed in the folder of the model MID, or in all of them."""

    def offline(library: Library, entries: List[Entry]) -> str:
        return "no daemon is running: the next one takes up what lies in the folder"

    route = f"{MODELS}/reload" if mid is None else f"{MODELS}/{mid}/reload"
    _change(settings_of(file, flags), "POST", route, offline)


@click.command()
@_mid
@settings_options("models", "state")
def rollback(mid: int, file: Optional[str], **flags: Any) -> None:
    """Serve the version of the model MID that was served before this one."""
    settings = settings_of(file, flags)

    def offline(library: Library, entries: List[Entry]) -> str:
        folder = find(entries, mid).folder
        previous = library.previous(folder)
        run(_try(previous.entry, settings))
        library.keep(folder, previous.record)
        return _line(mid, previous.entry.name, "is rolled back")

    _change(settings, "POST", f"{MODELS}/{mid}/rollback", offline)


COMMANDS = (add, remove, enable, disable, reload, rollback)


def _switch(settings: Settings, mid: int, verb: str, disabled: bool) -> None:
    def offline(library: Library, entries: List[Entry]) -> str:
        entry = find(entries, mid)
        library.set_disabled(entry.folder, disabled)
        return _line(mid, entry.name, f"is {verb}d")

    _change(settings, "POST", f"{MODELS}/{mid}/{verb}", offline)


def _change(
    settings: Settings,
    method: str,
    route: str,
    offline: Offline,
    archive: Union[IO[bytes], bytes] = b"",
    done: str = "",
) -> None:
    models, state = Path(settings.models), Path(settings.state)
    answer = control.ask(state, models, method, route, archive)
    if answer is not None:
        _print(answer, done)
        return
    library = Library(models, state)
    click.echo(offline(library, library.open()))
    # One may have started meanwhile, and have looked before this was written.
    control.ask(state, models, "POST", f"{MODELS}/reload")


def _print(answer: bytes, done: str) -> None:
    try:
        reply = msgspec.json.decode(answer, type=_Reply)
    except msgspec.DecodeError:
        raise EdgedError("the daemon does not answer as one") from None
    if reply.code != 0 or isinstance(reply.data, msgspec.UnsetType):
        raise EdgedError(f"{reply.msg} (code {reply.code})")
    for model in [reply.data] if isinstance(reply.data, _Model) else reply.data:
        reason = f": {model.reason}" if model.reason else ""
        click.echo(_line(model.mid, model.name, done or f"is {model.state}{reason}"))


def _line(mid: Optional[int], name: str, what: str) -> str:
    return f"{'-' if mid is None else mid} {name} {what}"


async def _try(entry: Entry, settings: Settings) -> None:
    """Raises EdgedError when it cannot be served here."""
    try:
        async with single.single_model(entry, settings):
            return
    except ModelUnavailable as error:
        raise EdgedError(f"it cannot be served here: {error}") from None


@contextmanager
def _packed(path: Path) -> Iterator[IO[bytes]]:
    """The zip, or one of the folder."""
    if path.is_file():
        with open(path, "rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, source in files_in(path).items():
                archive.write(source, name)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        yield file
