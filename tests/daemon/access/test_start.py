"""Whoever opens the daemon to other machines must say who may use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest

from edged.config import load_settings
from edged.errors import ConfigError
from tests.daemon.access.conftest import Serve
from tests.daemon.access.keyring import MODELS
from tests.support import ROOT, wait_for

OTHERS = ["0.0.0.0", "[::]", "192.0.2.7", "board.example", "127.0.0.1.evil.example"]
OTHERS += ["[::ffff:0.0.0.0]"]
LOOPBACK = ["127.0.0.1", "127.1.2.3", "[::1]", "localhost"]
UNIX = "unix:/run/edged/edged.sock"


def configured(tmp_path: Path, content: str) -> str:
    file = tmp_path / "edged.yaml"
    file.write_text(content)
    return str(file)


@pytest.mark.parametrize("others", ["", f"{UNIX} 127.0.0.1:1 "])
@pytest.mark.parametrize("host", OTHERS)
def test_an_address_that_others_reach_needs_auth_to_be_said(host: str, others: str) -> None:
    listen = f"{others}{host}:80"
    for said in ({}, {"auth": "unset"}):
        with pytest.raises(ConfigError, match=r" \S+:80: .*`auth: required`.*`auth: off`"):
            _ = load_settings(None, {}, {"listen": listen, **said}).wants_token
    assert load_settings(None, {}, {"listen": listen, "auth": "required"}).wants_token
    assert not load_settings(None, {}, {"listen": listen, "auth": "off"}).wants_token


@pytest.mark.parametrize("listen", [*(f"{host}:80" for host in LOOPBACK), UNIX])
def test_where_no_other_machine_comes_it_is_off_unless_it_is_said(listen: str) -> None:
    assert not load_settings(None, {}, {"listen": listen}).wants_token
    assert load_settings(None, {}, {"listen": listen, "auth": "required"}).wants_token


@pytest.mark.parametrize("by", ["flag", "file"])
def test_the_daemon_refuses_to_start(tmp_path: Path, by: str) -> None:
    given = ["--listen=127.0.0.1:0 0.0.0.0:0"]
    if by == "file":
        given = [f"--config={configured(tmp_path, 'listen: 0.0.0.0:0')}"]
    done = subprocess.run(
        [sys.executable, "-m", "edged", "serve", f"--state={tmp_path}", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "reach 0.0.0.0:0:" in done.stderr
    assert "`auth: required`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("file", "environment", "flags", "wanted"),
    [
        ("auth: off", {}, {}, False),  # YAML 1.1 has it for false
        ("auth: OFF", {}, {}, None),
        ("auth: 'off'", {}, {}, False),
        ("auth: required", {}, {}, True),
        ("auth: required", {"EDGED_AUTH": "off"}, {}, False),
        ("auth: required", {"EDGED_AUTH": "off"}, {"auth": "required"}, True),
        ("", {"EDGED_AUTH": "required"}, {}, True),
        ("", {"EDGED_AUTH": "off"}, {}, False),
        ("", {}, {"auth": "off"}, False),
        ("auth: on", {}, {}, None),
        ("auth: no", {}, {}, None),
        ("auth: false", {}, {}, None),
        ("auth: true", {}, {}, None),
        ("auth:", {}, {}, None),
        ("", {"EDGED_AUTH": ""}, {}, None),
        ("", {}, {"auth": "yes"}, None),
    ],
)
def test_it_is_said_in_so_many_words(
    tmp_path: Path, file: str, environment: Dict[str, str], flags: Dict[str, str], wanted: object
) -> None:
    """`wanted` None: refused, and the setting is named."""
    config = configured(tmp_path, f"listen: 0.0.0.0:0\n{file}\n")
    if wanted is None:
        with pytest.raises(ConfigError, match="auth"):
            load_settings(config, environment, flags)
    else:
        assert load_settings(config, environment, flags).wants_token is wanted


def test_what_is_open_is_said_at_the_start(serve: Serve, tmp_path: Path) -> None:
    daemon = serve(config=configured(tmp_path, "auth: off"), listen="0.0.0.0:0")
    wait_for(lambda: "Open to whoever reaches it" in daemon.log())
    line = next(line for line in daemon.log().splitlines() if "Open to" in line)
    assert "serving at" in line  # logged, before the models are loaded
    for what in ("EdgeBoard", "EasyDL-local", "list of models", "edged keys create"):
        assert what in line
    assert daemon.request("GET", MODELS).status == 200


def test_what_is_closed_is_said_at_the_start(serve: Serve) -> None:
    daemon = serve(listen="0.0.0.0:0", auth="required")
    wait_for(lambda: "Every route but health and the token service wants a token" in daemon.log())
    assert "Open to" not in daemon.log()
    assert daemon.request("GET", MODELS).status == 401
