from collections.abc import Iterator
from pathlib import Path

import pytest

from api.network_site import Client, World, world


@pytest.fixture
def one(tmp_path: Path) -> Iterator[World]:
    """A fresh site with Network on SQLite."""
    with world(f"sqlite:///{tmp_path}/network.db", tmp_path) as made:
        yield made


@pytest.fixture
def each(database_url: str, tmp_path: Path) -> Iterator[World]:
    """A fresh site with Network, once on each database."""
    with world(database_url, tmp_path) as made:
        yield made


@pytest.fixture
def admin(one: World) -> Client:
    return one.client("admin")


@pytest.fixture
def member(one: World) -> Client:
    return one.client("member")
