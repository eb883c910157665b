"""Settings come from defaults, file, environment and flags; what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.config import FIELDS, load_settings
from edged.errors import ConfigError
from edged.listen import Tcp


def write(tmp_path: Path, content: str) -> str:
    file = tmp_path / "edged.yaml"
    file.write_text(content)
    return str(file)


def test_without_anything_it_listens_on_loopback() -> None:
    settings = load_settings(None, {}, {})
    assert settings.listen == (Tcp("127.0.0.1", 9876),)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "listen: h:1\nqueue: 1\ntop: 1\n")
    settings = load_settings(file, {"EDGED_QUEUE": "2", "EDGED_TOP": "2"}, {"top": "3"})
    assert (settings.listen, settings.queue, settings.top) == ((Tcp("h", 1),), 2, 3)


def test_every_setting_can_come_from_the_environment() -> None:
    defaults = load_settings(None, {}, {})
    values = {f"EDGED_{name.upper()}": str(getattr(defaults, name)) for name in FIELDS}
    assert load_settings(None, values, {}) == defaults


def test_other_variables_are_not_its_business() -> None:
    load_settings(None, {"HOME": "/", "EDGEDX": "1"}, {})


@pytest.mark.parametrize(
    ("file", "environment", "flags", "named"),
    [
        ("prot: 1", {}, {}, ["edged.yaml", "prot"]),
        ("queue: many", {}, {}, ["edged.yaml", "queue", "int"]),
        ("queue: '80'", {}, {}, ["edged.yaml", "queue", "int"]),
        ("listen: a:65536", {}, {}, ["edged.yaml", "listen", "65535"]),
        ("listen: 80", {}, {}, ["edged.yaml", "listen", "80 is not text"]),
        ("listen: [a:80]", {}, {}, ["edged.yaml", "listen", "is not text"]),
        ("listen: a", {}, {}, ["edged.yaml", "listen", "'a' is none of HOST:PORT"]),
        ("listen: a:1 a:1", {}, {}, ["edged.yaml", "listen", "a:1 stands there twice"]),
        ("deadline: 0", {}, {}, ["edged.yaml", "deadline"]),
        ("queue: null", {}, {}, ["edged.yaml", "queue"]),
        ("[1, 2]", {}, {}, ["edged.yaml"]),
        ("a: [", {}, {}, ["edged.yaml", "YAML"]),
        ("!!python/object/apply:os.system ['false']", {}, {}, ["edged.yaml", "YAML"]),
        ("", {"EDGED_PROT": "1"}, {}, ["environment", "prot"]),
        ("", {"EDGED_LISTEN": ""}, {}, ["environment", "listen", "no address"]),
        ("", {}, {"listen": "::1:80"}, ["command line", "listen", "brackets"]),
        ("", {}, {"listen": "[::1:80"}, ["command line", "listen", "brackets"]),
        ("", {}, {"listen": "[host]:80"}, ["command line", "listen", "brackets"]),
        ("", {}, {"listen": "a:-1"}, ["command line", "listen", "'a:-1'"]),
        ("", {}, {"listen": "a:٣"}, ["command line", "listen", "HOST:PORT"]),
        ("", {}, {"listen": ":80"}, ["command line", "listen", "HOST:PORT"]),
        ("", {}, {"listen": "unix:edged.sock"}, ["command line", "listen", "from / on"]),
        ("", {}, {"listen": f"unix:/{'x' * 107}"}, ["command line", "listen", "107 bytes"]),
        ("", {"EDGED_LOG_LEVEL": "loud"}, {}, ["environment", "log_level", "warning, error"]),
        ("", {}, {"engine": "lite"}, ["command line", "engine", "auto, paddlelite, paddle"]),
        ("power_mode: [low]", {}, {}, ["edged.yaml", "power_mode", "high, low"]),
        ("", {}, {"max_body_mib": "-1"}, ["command line", "max_body_mib"]),
        ("", {}, {"deadline": "nan"}, ["command line", "deadline"]),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path,
    file: str,
    environment: dict[str, str],
    flags: dict[str, str],
    named: list[str],
) -> None:
    with pytest.raises(ConfigError) as error:
        load_settings(write(tmp_path, file), environment, flags)
    for word in named:
        assert word in str(error.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no-such-file"):
        load_settings("/no-such-file.yaml", {}, {})


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "edged.yaml"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="YAML"):
        load_settings(str(file), {}, {})
