"""What the commands share: settings as flags, the event loop, JSON, tables."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Callable, Coroutine, Dict, Iterable, Optional, Sequence, TypeVar

import click
import msgspec

from edged import config
from edged.config import Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., None])
Answer = TypeVar("Answer")


def settings_options(*names: str) -> Callable[[Command], Command]:
    """`--config`, and a flag for each of the settings `names`."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            text = f"{config.describe(name)}  [default: {config.default(name)}]"
            command = click.option(f"--{name.replace('_', '-')}", name, help=text)(command)
        text = f"YAML file of settings.  [variable: {config.FILE_VARIABLE}]"
        named = click.option("--config", "file", envvar=config.FILE_VARIABLE, help=text)
        return named(command)

    return decorate


def settings_of(file: Optional[str], flags: Dict[str, Any]) -> Settings:
    """Raises ConfigError."""
    given = {name: value for name, value in flags.items() if value is not None}
    return load_settings(file, os.environ, given)


def run(work: Coroutine[Any, Any, Answer]) -> Answer:
    """On uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def print_json(content: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(content)).decode())


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths))
        click.echo("  ".join(cells).rstrip())
