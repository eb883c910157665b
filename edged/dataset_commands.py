"""`edged datasets`: what the owner of a board does with all of its datasets."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import click

from edged.config import Settings
from edged.daemon.single import picture_sizes
from edged.datasets import FOLDER, rules
from edged.datasets.export import Progress, to_folder, to_zip
from edged.datasets.formats import FORMATS, Format, format_for
from edged.datasets.formats.source import Source, opened_source
from edged.datasets.importing import Checked, add, check
from edged.datasets.reader import FILE, Reader
from edged.datasets.snapshot import Snapshot
from edged.datasets.store import Store
from edged.datasets.types import Dataset, Kind, Page
from edged.errors import BadParam, DatasetExists, DatasetUnknown, KeyStoreError
from edged.keys import FILE as KEYS
from edged.keys import Key, KeyStore
from edged.terminal import print_json, print_table, settings_of, settings_options

_ZIP = ".zip"
_ALL = Page(0, -1)

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_format = click.option(
    "--format", "format_name", type=click.Choice(list(FORMATS)), required=True, help="As what."
)


@click.group()
def datasets() -> None:
    """What was collected and labelled, whoever's it is; the daemon may run meanwhile."""


@datasets.command("list")
@_as_json
@settings_options("state")
def list_datasets(as_json: bool, file: Optional[str], **flags: Any) -> None:
    """The datasets and whose they are."""
    state = Path(settings_of(file, flags).state)
    found: List[Dataset] = []
    if (state / FOLDER / FILE).exists():
        with closing(Reader(state / FOLDER)) as reader:
            found = reader.every()
    owners = _owners(state)
    rows = [_described(one, owners) for one in found]
    if as_json:
        print_json(rows)
        return
    print_table(
        ["id", "name", "type", "owner", "entities", ""],
        [[str(value) for value in row.values()] for row in rows],
    )


@datasets.command()
@click.argument("number", metavar="ID", type=int)
@_as_json
@settings_options("state")
def show(number: int, as_json: bool, file: Optional[str], **flags: Any) -> None:
    """The dataset ID, and how many entities have each label."""
    state = Path(settings_of(file, flags).state)
    with closing(Reader(_made(state / FOLDER, number))) as reader:
        dataset = reader.dataset(number)
        _, labels = reader.labels(number, _ALL)
    described = _described(dataset, _owners(state))
    if as_json:
        print_json({**described, "labels": {one.name: one.entities for one in labels}})
        return
    for name, value in described.items():
        if value != "":
            click.echo(f"{name}: {value}")
    print_table(["label", "entities"], [[one.name, str(one.entities)] for one in labels])


@datasets.command()
@click.argument("number", metavar="ID", type=int)
@_format
@click.option(
    "--out",
    type=click.Path(writable=True, path_type=Path),
    required=True,
    help="New folder, or new file if it ends in .zip.",
)
@settings_options("state")
def export(number: int, format_name: str, out: Path, file: Optional[str], **flags: Any) -> None:
    """Write the dataset ID for training tools."""
    folder = _made(Path(settings_of(file, flags).state) / FOLDER, number)
    write = to_zip if out.suffix.lower() == _ZIP else to_folder
    with closing(Snapshot(folder, number)) as snapshot:
        format = format_for(format_name, snapshot.kind)
        with _progress("writing", snapshot.count) as progress:
            write(snapshot, format, out, progress)
        click.echo(f"{snapshot.count} entities of {snapshot.name} are in {out}")


@datasets.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@_format
@click.option("--name", help="Name of the new dataset.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(list(rules.KINDS)),
    help="Type of the new dataset  [default: the one that the format is usual for].",
)
@click.option("--key", help="Key (its name or API key) that the new dataset belongs to.")
@click.option("--to", "number", type=int, help="ID of the dataset to add to, instead.")
@settings_options("state", "max_megapixels", "max_side")
def import_dataset(
    path: Path,
    format_name: str,
    name: Optional[str],
    kind: Optional[Kind],
    key: Optional[str],
    number: Optional[int],
    file: Optional[str],
    **flags: Any,
) -> None:
    """Make a dataset of the folder or zip PATH, or add that to one.

    All of PATH is checked before anything is added.
    """
    if (name is None) == (number is None) or (number is not None and (kind or key)):
        raise click.UsageError("say --name, with --type and --key as need be, or --to")
    settings = settings_of(file, flags)
    folder = Path(settings.state) / FOLDER
    if number is not None:
        with closing(Reader(_made(folder, number))) as reader:
            kind = reader.dataset(number).kind
    kind = kind or FORMATS[format_name].kinds[0]
    owner = "" if key is None else _api_key(Path(settings.state), key)
    if name is not None:
        _check_new(folder, owner, kind, name)
    with opened_source(path) as source:
        checked = _checked(source, format_for(format_name, kind), kind, settings)
        with closing(Store(folder, settings.datasets_quota)) as store:
            if name is not None:
                number = _add_new(store, store.create(owner, kind, name), source, checked)
            elif number is not None:
                _add(store, number, source, checked)
            assert number is not None
            count = store.dataset(number).entities  # of what is the same there is one
    click.echo(f"{count} entities are in the dataset {number}")


def _check_new(folder: Path, owner: str, kind: Kind, name: str) -> None:
    """Before all that is to be in it is checked, which may take long."""
    if not rules.is_dataset_name(name):
        raise BadParam(f"--name must have 1 to {rules.MOST_DATASET_NAME} characters")
    if (folder / FILE).exists():
        with closing(Reader(folder)) as reader, suppress(DatasetUnknown):
            reader.find(owner, kind, name)
            raise DatasetExists(f"there is a dataset {name} already")


def _checked(source: Source, format: Format, kind: Kind, settings: Settings) -> List[Checked]:
    found = list(format.read(source, kind))
    with picture_sizes(settings) as size_of, _progress("checking", len(found)) as progress:
        return check(source, kind, found, size_of, progress)


def _add_new(store: Store, number: int, source: Source, checked: Sequence[Checked]) -> int:
    """Nothing is left of a dataset that could not be filled."""
    try:
        with _progress("adding", len(checked)) as progress:
            add(store, number, source, checked, progress)
    except BaseException:
        store.delete(number)
        raise
    return number


def _add(store: Store, number: int, source: Source, checked: Sequence[Checked]) -> None:
    added = 0

    def count(entities: int) -> None:
        nonlocal added
        added += entities
        progress(entities)

    try:
        with _progress("adding", len(checked)) as progress:
            add(store, number, source, checked, count)
    except BaseException:
        click.echo(
            f"{added} of {len(checked)} entities were added and stay; the same again adds the rest",
            err=True,
        )
        raise


@datasets.command()
@click.argument("number", metavar="ID", type=int)
@click.option("--yes", is_flag=True, help="Do not ask.")
@settings_options("state")
def delete(number: int, yes: bool, file: Optional[str], **flags: Any) -> None:
    """Delete the dataset ID with all that is in it."""
    settings = settings_of(file, flags)
    folder = _made(Path(settings.state) / FOLDER, number)
    with closing(Reader(folder)) as reader:
        dataset = reader.dataset(number)
    if not yes:
        click.confirm(f"Delete {dataset.name} with {dataset.entities} entities?", abort=True)
    with closing(Store(folder, settings.datasets_quota)) as store:
        store.delete(number)
    click.echo(f"dataset {number} is deleted")


def _made(folder: Path, number: int) -> Path:
    """`folder`, if there is a store in it: asking for a dataset makes none.

    Raises DatasetUnknown.
    """
    if not (folder / FILE).exists():
        raise DatasetUnknown(f"there is no dataset {number}")
    return folder


@contextmanager
def _progress(label: str, length: int) -> Iterator[Progress]:
    """For a person who waits; a program that reads along is not disturbed."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


def _keys(state: Path) -> List[Key]:
    if not (state / KEYS).exists():
        return []
    with closing(KeyStore(state)) as store:
        return store.keys()


def _api_key(state: Path, name: str) -> str:
    for key in _keys(state):
        if not key.revoked and name in (key.name, key.api_key):
            return key.api_key
    raise KeyStoreError(f"there is no key {name}")


def _described(dataset: Dataset, owners: Dict[str, str]) -> Dict[str, Any]:
    """`owner` is a key's name, empty for the board's own."""
    return {
        "id": dataset.id,
        "name": dataset.name,
        "type": dataset.kind,
        "owner": owners.get(dataset.owner, dataset.owner),
        "entities": dataset.entities,
        "busy": dataset.busy,
    }


def _owners(state: Path) -> Dict[str, str]:
    return {key.api_key: key.name for key in _keys(state)}
