from collections.abc import Iterator
from pathlib import Path

import pytest

from api.identity_site import World, world
from lanekeeper.api.identity.face import FACE as IDENTITY
from lanekeeper.api.image.face import FACE as IMAGE


@pytest.fixture
def one(database_url: str, tmp_path: Path) -> Iterator[World]:
    """A fresh installation with Identity and Image on it."""
    state_dir = tmp_path / "state"
    state_dir.mkdir(mode=0o700)
    with world(database_url, state_dir, (IDENTITY, IMAGE)) as made:
        yield made
