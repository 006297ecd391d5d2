"""IoOpsFilter: a host that builds as many servers as it may takes the next one when they are up."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as replace_field

from fleet import ADMIN, MEMBER, config, fleet
from lanekeeper.config.scheduler import Scheduler
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.domain.compute.flavor import Flavor

pytestmark = pytest.mark.service


def test_builds_are_counted_until_they_are_reported(database_url: str, tmp_path: Path) -> None:
    scheduler = Scheduler(enabled_filters=("IoOpsFilter",), max_io_ops_per_host=2)
    settings = replace_field(config(), scheduler=scheduler)
    with fleet(database_url, tmp_path, settings, hosts=1) as world:
        flavor = create_flavor(
            world.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1, extra_specs={})
        )
        order = NewServer(name="s", image_id=world.image(), flavor_id=flavor.id)
        made = create_servers(world.site, MEMBER, replace(order, min_count=3, max_count=3))
        assert [one.vm_state for one in made] == ["building", "building", "error"]
        assert made[-1].fault is not None
        assert "building as many servers as it may" in made[-1].fault["told"]
        told = explain(world.site, ADMIN, Question(flavor=flavor.id))
        assert "is building 2 servers, 2 are the most at a time" in told.summary
        world.obey()
        assert explain(world.site, ADMIN, Question(flavor=flavor.id)).fits
        (fourth,) = create_servers(world.site, MEMBER, order)
        assert fourth.vm_state == "building"
