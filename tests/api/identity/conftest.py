from collections.abc import Iterator
from pathlib import Path

import pytest

from api.identity_site import World, world


@pytest.fixture
def one(database_url: str, tmp_path: Path) -> Iterator[World]:
    """A fresh installation with Identity on it."""
    state_dir = tmp_path / "state"
    state_dir.mkdir(mode=0o700)
    with world(database_url, state_dir) as made:
        yield made
