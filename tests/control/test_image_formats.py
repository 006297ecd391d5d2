"""Which images a server can be made of: what its host takes, and nothing else."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fleet import Fleet, fleet
from lanekeeper.control.caller import Caller
from lanekeeper.control.image.image import image_for_server
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.image.record import DISK_FORMATS
from lanekeeper.store.image.image import image_get, image_insert

CALLER = Caller(user_id="u", user_name="u", project_id="p", roles=frozenset({"member"}))


def image(world: Fleet, disk_format: str) -> str:
    """An image of this format; returns its id."""
    plain = world.image()
    with world.site.database.read() as connection:
        found = image_get(connection, plain)
    assert found is not None
    made = replace(found, id=plain[::-1][:8] + plain[8:], disk_format=disk_format)
    world.site.database.write(lambda connection: image_insert(connection, made))
    return made.id


@pytest.mark.parametrize(
    ("part", "taken"),
    [
        ("disk", {"raw", "qcow2", "ami"}),
        ("kernel_id", {"raw", "aki"}),
        ("ramdisk_id", {"raw", "ari"}),
    ],
)
def test_each_part_of_a_server_has_its_formats(tmp_path: Path, part: str, taken: set[str]) -> None:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, hosts=1) as world:
        good = set()
        for disk_format in DISK_FORMATS:
            image_id = image(world, disk_format)
            with world.site.database.read() as connection, suppress(Invalid):
                good.add(image_for_server(connection, CALLER, image_id, part).disk_format)
    assert good == taken
