"""The numbers of folders that bring none: kept whole, or a clear error."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edged.errors import ConfigError
from edged.registry import mids


def test_the_lowest_free_numbers_in_order(tmp_path: Path) -> None:
    assert mids.numbers(tmp_path, ["a", "b"], {0, 2}) == {"a": 1, "b": 3}
    assert mids.numbers(tmp_path, ["c"], set()) == {"a": 1, "b": 3, "c": 0}
    assert mids.numbers(tmp_path, ["a"], {1}) == {"a": 1, "b": 3, "c": 0}


def test_nothing_is_written_without_need(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert mids.numbers(state, [], {1}) == {}
    assert not state.exists()
    mids.numbers(state, ["a"], set())
    before = (state / mids.FILE).stat().st_ino
    mids.numbers(state, ["a"], set())
    assert (state / mids.FILE).stat().st_ino == before


def test_the_file_is_readable_for_its_owner(tmp_path: Path) -> None:
    mids.numbers(tmp_path, ["安全帽"], set())
    assert [path.name for path in tmp_path.iterdir()] == [mids.FILE]
    assert json.loads((tmp_path / mids.FILE).read_text("utf-8")) == {"安全帽": 0}


def test_a_state_that_is_no_directory_is_a_clear_error(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.touch()
    with pytest.raises(ConfigError, match=r"state.*: Not a directory"):
        mids.numbers(state, ["a"], set())


def test_a_state_that_cannot_be_written_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="state directory /proc/edged: "):  # not even root can
        mids.numbers(Path("/proc/edged"), ["a"], set())


def test_a_failed_write_is_a_clear_error_and_leaves_the_old_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mids.numbers(tmp_path, ["a"], set())
    before = (tmp_path / mids.FILE).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        mids.numbers(tmp_path, ["b"], set())
    assert [path.name for path in tmp_path.iterdir()] == [mids.FILE]
    assert (tmp_path / mids.FILE).read_bytes() == before


def test_file_and_directory_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    )
    mids.numbers(tmp_path, ["a"], set())
    assert [Path(path).parent for path in synced] == [tmp_path, tmp_path.parent]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a": "1"}', b"\xff", b'{"\xff": 1}', b'{"a": -1}']
)
def test_damaged_numbers_are_never_replaced_silently(tmp_path: Path, content: bytes) -> None:
    (tmp_path / mids.FILE).write_bytes(content)
    with pytest.raises(ConfigError, match="is damaged"):
        mids.numbers(tmp_path, ["a"], set())
    assert (tmp_path / mids.FILE).read_bytes() == content
