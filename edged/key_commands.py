"""`edged keys`: who may ask for a token, and what with it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import click

from edged.keys import FILE, Key, KeyStore, NewKey, Rules, Usage
from edged.terminal import print_json, print_table, settings_of, settings_options

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_at_least_one = click.IntRange(min=1)


@click.group()
def keys() -> None:
    """API keys; a running daemon notices a change within a second."""


@keys.command()
@click.argument("name")
@click.option("--model", "models", multiple=True, help="Name of a model it may use [default: any].")
@click.option("--manage", is_flag=True, help="It may change its models, or any, over HTTP.")
@click.option("--per-second", type=_at_least_one, help="Most requests in a second.")
@click.option("--per-day", type=_at_least_one, help="Most requests on a day.")
@click.option("--total", type=_at_least_one, help="Most requests in all.")
@_as_json
@settings_options("state")
def create(
    name: str,
    models: Tuple[str, ...],
    manage: bool,
    per_second: Optional[int],
    per_day: Optional[int],
    total: Optional[int],
    as_json: bool,
    file: Optional[str],
    **flags: Any,
) -> None:
    """Make a key. Its secret is shown this once and is kept nowhere."""
    rules = Rules(models or None, per_second, per_day, total, manage)
    with closing(KeyStore(_state(file, flags), create=True)) as store:
        _print_new(store.create(name, rules), as_json)


@keys.command("list")
@_as_json
@settings_options("state")
def list_keys(as_json: bool, file: Optional[str], **flags: Any) -> None:
    """The keys, what they may do, and what was used of them."""
    state = _state(file, flags)
    found: List[Key] = []
    usage: Dict[str, Usage] = {}
    if (state / FILE).exists():
        with closing(KeyStore(state)) as store:
            found, usage = store.keys(), store.usage()
    if as_json:
        print_json([_described(key, usage.get(key.api_key)) for key in found])
        return
    head = [
        "name",
        "api key",
        "models",
        "changes them",
        "per second",
        "per day",
        "total",
        "used",
        "",
    ]
    print_table(head, [_row(key, usage.get(key.api_key)) for key in found])


@keys.command()
@click.argument("key")
@settings_options("state")
def revoke(key: str, file: Optional[str], **flags: Any) -> None:
    """Void the KEY (its name or API key) and every token made with it."""
    with closing(KeyStore(_state(file, flags))) as store:
        store.revoke(key)
    click.echo(f"{key} is revoked")


@keys.command()
@click.argument("key")
@_as_json
@settings_options("state")
def rotate(key: str, as_json: bool, file: Optional[str], **flags: Any) -> None:
    """A new secret for the KEY (its name or API key); tokens of the old one are void."""
    with closing(KeyStore(_state(file, flags))) as store:
        _print_new(store.rotate(key), as_json)


def _state(file: Optional[str], flags: Dict[str, Any]) -> Path:
    return Path(settings_of(file, flags).state)


def _print_new(new: NewKey, as_json: bool) -> None:
    if as_json:
        print_json(new._asdict())
        return
    click.echo(f"API key:    {new.api_key}\nsecret key: {new.secret_key}")
    click.echo("The secret is not shown again.", err=True)


def _described(key: Key, usage: Optional[Usage]) -> Dict[str, Any]:
    return {
        "name": key.name,
        "api_key": key.api_key,
        "created": key.created,
        "revoked": key.revoked,
        **{name: getattr(key.rules, name) for name in key.rules.__struct_fields__},
        "used": usage.total if usage else 0,
    }


def _row(key: Key, usage: Optional[Usage]) -> List[str]:
    rules = key.rules
    limits = (rules.per_second, rules.per_day, rules.total)
    return [
        key.name,
        key.api_key,
        "any" if rules.models is None else ", ".join(rules.models),
        "yes" if rules.manage else "-",
        *("-" if limit is None else str(limit) for limit in limits),
        str(usage.total if usage else 0),
        "revoked" if key.revoked else "",
    ]
