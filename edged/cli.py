"""The commands: each reads its arguments, calls the house and prints."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, List, NoReturn, Optional, Sequence, Tuple

import click

import edged
from edged import client, config, model_check, model_convert
from edged.config import Settings
from edged.daemon import app, logs, single
from edged.daemon.dialects.edgeboard import BINARY
from edged.daemon.ops import model_info
from edged.dataset_commands import datasets
from edged.errors import EdgedError, ModelUnavailable, UnknownModel
from edged.key_commands import keys
from edged.listen import Unix
from edged.model_commands import COMMANDS
from edged.registry.entry import Entry
from edged.registry.registry import scan
from edged.registry.sample import PICTURE, read_sample
from edged.results import Result
from edged.terminal import print_json, print_table, run, settings_of, settings_options

_INTERRUPTED = 130


def main() -> None:
    """The console script: an EdgedError is one line and exit status 1, never a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except EdgedError as error:
        _die(str(error))
    except OSError as error:
        _die(f"{error.filename or 'output'}: {error.strerror}")


def _die(reason: str) -> NoReturn:
    click.echo(f"edged: {reason}", err=True)
    sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(edged.__version__)
def cli() -> None:
    """Serves Paddle models behind the EdgeBoard HTTP API."""
    logging.getLogger("edged").setLevel(logging.CRITICAL)  # a command prints its own reasons


cli.add_command(keys)
cli.add_command(datasets)


@cli.command()
@settings_options(*config.FIELDS)
def serve(file: Optional[str], **flags: Any) -> None:
    """Serve the models of a folder until SIGTERM or Ctrl-C."""
    settings = settings_of(file, flags)
    logging.getLogger("edged").setLevel(logging.NOTSET)
    # It logs a traceback for every malformed request; what fails in edged, edged logs itself.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    with logs.written(settings.log_level, settings.log_format):
        run(app.run(settings, _announce))


def _announce(daemon: app.Daemon) -> None:
    """Whoever does not listen is no reason to stop serving."""
    with suppress(BrokenPipeError):
        _print_announcement(daemon)


def _print_announcement(daemon: app.Daemon) -> None:
    infos = [model_info(served) for served in daemon.live.service.models]
    click.echo(f"edged {edged.__version__} on {daemon.where}")
    rows = [[_mid(info.mid), info.name, info.task or "", info.state, info.reason] for info in infos]
    print_table(["mid", "name", "task", "state", ""], rows)
    click.echo(daemon.who_may)
    for served, info in zip(daemon.live.service.models, infos):
        if info.state == "ready":
            click.echo(f"Try:\n  {_curl(daemon, info.mid, served.entry)}")
            return
    click.echo("No model is ready.")


def _curl(daemon: app.Daemon, mid: Optional[int], entry: Entry) -> str:
    samples = [daemon.models / entry.folder / PICTURE]
    if entry.spec is not None:
        samples.append(Path(entry.spec.folder, PICTURE))
    sample = next((path for path in samples if path.is_file()), Path())
    picture = shlex.quote(os.path.relpath(sample)) if sample.is_file() else "picture.jpg"
    address = daemon.addresses[0]
    socket, url = "", address.url
    if isinstance(address, Unix):
        socket, url = f"--unix-socket {shlex.quote(address.path)} ", "http://localhost"
    return f"curl {socket}--data-binary @{picture} '{url}{BINARY}?mid={mid}'"


@cli.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--mid", type=int, required=True, help="Number of the model.")
@click.option("--url", help="A running daemon's URL; without it the model is loaded here.")
@click.option("--token", help="Access token, for a daemon that wants one.")
@click.option(
    "--show",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the drawn picture to this file (JPEG).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings_options("models", "state")
def predict(
    image: Path,
    mid: int,
    url: Optional[str],
    token: Optional[str],
    show: Optional[Path],
    as_json: bool,
    file: Optional[str],
    **flags: Any,
) -> None:
    """What a model sees in the picture IMAGE."""
    content = image.read_bytes()
    results: Sequence[Result]
    if url is not None:
        results, picture = run(client.predict(url, mid, content, show is not None, token))
    else:
        settings = settings_of(file, flags)
        entry = _find(mid, scan(Path(settings.models), Path(settings.state)))
        _progress(f"loading {entry.name} ...")
        prediction = run(single.predict(entry, settings, content, show is not None))
        results, picture = prediction.results, prediction.picture
    if show is not None:
        show.write_bytes(picture)
    if as_json:
        print_json({"result": results})
    else:
        _print_results(results)


def _find(mid: int, entries: Sequence[Entry]) -> Entry:
    for entry in entries:
        if entry.mid == mid:
            return entry
    there = ", ".join(f"{entry.mid} ({entry.name})" for entry in entries) or "none"
    raise UnknownModel(f"there is no model with mid {mid}; there are: {there}")


def _print_results(results: Sequence[Result]) -> None:
    print_table(["label", "score", "left", "top", "width", "height"], map(_result_row, results))


def _result_row(result: Result) -> List[str]:
    box = result.location
    pixels = (box.left, box.top, box.width, box.height)
    return [result.label, f"{result.score:.3f}", *(f"{value:.1f}" for value in pixels)]


@cli.group()
def models() -> None:
    """The models in a folder."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings_options("models", "state")
def list_models(as_json: bool, file: Optional[str], **flags: Any) -> None:
    """What is in the models' folder, read but not loaded."""
    settings = settings_of(file, flags)
    entries = scan(Path(settings.models), Path(settings.state))
    if as_json:
        print_json(entries)
        return
    rows = [[_mid(entry.mid), entry.name, *_described(entry), _remark(entry)] for entry in entries]
    print_table(["mid", "name", "task", "input", "exporter", ""], rows)


@models.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--image",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Run this picture instead of the model's sample.jpg.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings_options("state")
def check(
    path: Path, image: Optional[Path], as_json: bool, file: Optional[str], **flags: Any
) -> None:
    """What is in the folder or zip PATH, whether it can be served here, and if not, why."""
    settings = settings_of(file, flags)
    with model_check.looked_at(path) as entry:
        servable = _check(entry, image, as_json, settings)
    if not servable:
        sys.exit(1)


def _check(entry: Entry, image: Optional[Path], as_json: bool, settings: Settings) -> bool:
    networks = model_check.described(entry)
    if not as_json:
        click.echo("\n".join(model_check.report(entry, networks)))
    sample = read_sample(Path(entry.spec.folder)) if entry.spec else None
    picture = sample.image if sample else None
    if image is not None:
        picture = image.read_bytes()
    reason, results = entry.reason, None
    if not reason:
        _progress(f"loading {entry.name} ...")
        reason, results = run(_try(entry, settings, picture))
    if as_json:
        answer = {"entry": entry, "servable": not reason, "reason": reason}
        print_json({**answer, "networks": networks, "result": results})
    else:
        golden = sample is not None and sample.expected is not None
        agrees = "its sample agrees" if golden else "it has no sample to compare with"
        click.echo(f"cannot be served here: {reason}" if reason else f"can be served; {agrees}")
        if results is not None:
            _print_results(results)
    return not reason


async def _try(
    entry: Entry, settings: Settings, picture: Optional[bytes]
) -> Tuple[str, Optional[Sequence[Result]]]:
    """Loads the model, which runs its sample: (the reason when that fails, what it sees)."""
    try:
        if picture is not None:
            return "", (await single.predict(entry, settings, picture, show=False)).results
        async with single.single_model(entry, settings):
            return "", None
    except ModelUnavailable as error:
        return str(error), None


@models.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--target", type=click.Choice(["arm", "x86"]), required=True, help="For what.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, writable=True, path_type=Path),
    required=True,
    help="New folder: the .nb of each network, model.yaml and the sample.",
)
@settings_options("state")
def convert(path: Path, target: str, out: Path, file: Optional[str], **flags: Any) -> None:
    """Make the model in the folder or zip PATH ready for a board, on a PC."""
    cache = Path(settings_of(file, flags).state) / "converted"
    with model_check.looked_at(path) as entry:
        written = model_convert.convert_to(entry, target, cache, out)
    made = ", ".join(map(str, written))
    verb = "is" if len(written) == 1 else "are"
    click.echo(f"{made} {verb} for {target}: copy the folder {out} into the board's models")


for _command in COMMANDS:
    models.add_command(_command)


def _described(entry: Entry) -> List[str]:
    if entry.spec is None:
        return ["", "", entry.exporter or ""]
    return [entry.spec.task, model_check.size_text(entry.spec), entry.spec.exporter]


def _remark(entry: Entry) -> str:
    return entry.reason or entry.note or ("disabled" if entry.disabled else "ok")


def _progress(text: str) -> None:
    """For a person who waits; a program that reads along is not disturbed."""
    if sys.stderr.isatty():
        click.echo(text, err=True)


def _mid(mid: Optional[int]) -> str:
    return "-" if mid is None else str(mid)
