from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Iterator

import pytest

from edged.datasets.store import Store
from tests.datasets.history import check_whole
from tests.datasets.stores import ENOUGH, TEXT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "datasets"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """At the end the tables agree with one another and with the files."""
    with closing(Store(folder, ENOUGH)) as store:
        yield store
    check_whole(folder)


@pytest.fixture
def other(store: Store) -> Iterator[Store]:
    """The same datasets, as another process has them."""
    with closing(Store(store.folder, ENOUGH)) as other:
        yield other


@pytest.fixture
def dataset(store: Store) -> int:
    """An empty one, for texts."""
    return store.create("key", TEXT, "first")
