"""Lists of servers: the database finds what reading everything would find, and reads less."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fleet import ADMIN, OTHER_PROJECT, PROJECT, Fleet, fleet
from lanekeeper.control.compute.hypervisor import find_hypervisor, find_service, list_services
from lanekeeper.control.compute.server_list import ServerQuery, list_servers
from lanekeeper.domain.compute.server import TaskState, VmState, status_of
from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.store.compute.server import ServerRecord, server_insert
from lanekeeper.store.compute.server_search import SORT_KEYS, ServerSearch, server_search
from statements import statements

pytestmark = pytest.mark.service

_ATTRIBUTE = {
    "display_name": "name", "display_description": "description", "host": "host_name",
    "node": "host_name", "uuid": "id", "image_ref": "image_id", "auto_disk_config": "disk_config",
}  # fmt: skip
_STATES = [
    (VmState.BUILDING, TaskState.SPAWNING), (VmState.ACTIVE, None), (VmState.STOPPED, None),
    (VmState.ACTIVE, TaskState.REBOOTING), (VmState.ERROR, TaskState.REBOOTING_HARD),
]  # fmt: skip
_NAMES = ["web-2", "Web-1", "ärger", "", "web-10", "Ж", "_", "zoo", "web-2", "\U0001f600", "\uffee"]


def servers(world: Fleet, count: int = 22, **more: Any) -> list[ServerRecord]:
    """Servers that differ in everything that can be asked for, the youngest first, then by id."""
    hosts, made = [*world.hosts.items(), ("", None)], []
    for number in range(count):
        vm_state, task_state = _STATES[number % len(_STATES)]
        host_name, host_id = hosts[number % len(hosts)]
        at = world.hands() + timedelta(seconds=number // 2)
        record = ServerRecord(
            id=f"{number * 7 % 100:08d}-0000-4000-8000-000000000000",
            name=_NAMES[number % len(_NAMES)],
            project_id=OTHER_PROJECT if number % 7 == 6 else PROJECT,
            user_id="ab"[number % 2],
            flavor={"id": f"m{number % 3}", "vcpus": 1, "ram_mib": 64},
            vm_state=vm_state,
            task_state=task_state,
            wanted="running",
            created_at=at,
            updated_at=at,
            description="AbC"[number % 3],
            hostname=_NAMES[number % 3],
            host_id=host_id,
            host_name=host_name or None,
            image_id=None if number % 4 == 0 else f"i{number % 2}",
            key_name=None if number % 3 == 0 else "bAa"[number % 3],
            config_drive=number % 2 == 0,
            tags=[["red"], ["red", "blue"], []][number % 3],
            launch_index=number % 12,
            locked=number % 5 == 0,
            power_state=[0, 1, 4][number % 3],
            launched_at=None if number % 3 else at,
        )
        made.append(replace(record, **more))

    def write(connection: sa.Connection) -> None:
        for record in made:
            server_insert(connection, record)

    world.site.database.write(write)
    return sorted(made, key=lambda one: (one.created_at, one.id), reverse=True)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=2) as made:
        yield made


def value(record: ServerRecord, key: str) -> tuple[bool, Any]:
    """What has no value comes first, and is never compared with what has one."""
    found = (
        record.flavor["id"]
        if key == "instance_type_id"
        else getattr(record, _ATTRIBUTE.get(key, key))
    )
    return (False, 0) if found is None else (True, found)


def walked(world: Fleet, limit: int, **more: Any) -> list[str]:
    """Ids of all pages, one after the other."""
    ids: list[str] = []
    marker, goes_on = None, True
    while goes_on:
        search = ServerSearch(limit=limit, marker=marker, **more)
        with world.site.database.read() as connection:
            page, goes_on = server_search(connection, search)
        ids += page
        marker = page[-1] if page else None
    return ids


@pytest.mark.parametrize("descending", [False, True])
def test_pages_in_any_order_are_the_whole_list_in_that_order(
    world: Fleet, descending: bool
) -> None:
    made = servers(world)
    for key in SORT_KEYS:
        expected = sorted(made, key=lambda one: value(one, key), reverse=descending)
        walks = walked(world, 4, sort=[(key, descending)])
        assert walks == [one.id for one in expected], key
    expected = sorted(made, key=lambda one: value(one, "host"), reverse=not descending)
    expected.sort(key=lambda one: value(one, "key_name"), reverse=descending)
    sort = [("key_name", descending), ("host", not descending)]
    assert walked(world, 1, sort=sort) == [one.id for one in expected]
    red = [one.id for one in expected if "red" in one.tags]
    assert walked(world, 3, sort=sort, filters={"tags": "red"}) == red


@pytest.mark.parametrize(
    ("name", "text", "passes"),
    [
        ("name", "WEB", lambda one: "web" in one.name.lower()),
        ("name", "^Ä", lambda one: one.name == "ärger"),
        ("name", "", lambda one: True),
        ("key_name", "a", lambda one: (one.key_name or "") in ("a", "A")),
        ("uuid", f"{7:08d}-0000-4000-8000-000000000000", lambda one: one.id.startswith("00000007")),
        ("status", "active,error", lambda one: status(one) in ("ACTIVE", "ERROR")),
        ("status", "REBOOT", lambda one: status(one) == "REBOOT"),
        ("status", "none such", lambda one: False),
        ("task_state", "rebooting", lambda one: one.task_state == "rebooting"),
        ("power_state", "4", lambda one: one.power_state == 4),
        ("power_state", "04", lambda one: False),
        ("launch_index", "11", lambda one: one.launch_index == 11),
        ("image", "i1", lambda one: one.image_id == "i1"),
        ("flavor", "m2", lambda one: one.flavor["id"] == "m2"),
        ("config_drive", "no", lambda one: not one.config_drive),
        ("locked", "true", lambda one: one.locked),
        ("tags", "red,blue", lambda one: len(one.tags) == 2),
        ("tags-any", "blue,green", lambda one: len(one.tags) == 2),
        ("not-tags", "red,blue", lambda one: len(one.tags) < 2),
        ("not-tags-any", "red,blue", lambda one: not one.tags),
        ("host", "h1", lambda one: one.host_name == "h1"),
        ("node", "H", lambda one: one.host_name is not None),
        ("soft_deleted", "true", lambda one: False),
        ("deleted", "false", lambda one: True),
    ],
)
def test_a_filter_finds_what_it_says(
    world: Fleet, name: str, text: str, passes: Callable[[ServerRecord], bool]
) -> None:
    expected = [one.id for one in servers(world) if passes(one)]
    assert walked(world, 5, filters={name: text}) == expected


def status(record: ServerRecord) -> str:
    return status_of(record.vm_state, record.task_state)


def test_a_list_is_bounded_by_project_and_by_time(world: Fleet) -> None:
    made = servers(world)
    since, before = made[12].updated_at, made[3].updated_at
    expected = [
        one.id for one in made if since <= one.updated_at <= before and one.project_id == PROJECT
    ]
    bounds = {"changed_since": since, "changed_before": before, "project_id": PROJECT}
    assert walked(world, 3, **bounds) == expected


def test_a_marker_must_be_one_that_passes(world: Fleet) -> None:
    other = next(one for one in servers(world) if "red" not in one.tags)
    for filters, marker in (({}, "none"), ({"tags": "red"}, other.id)):
        search = ServerSearch(limit=1, marker=marker, filters=filters)
        with world.site.database.read() as connection, pytest.raises(Invalid, match="marker"):
            server_search(connection, search)


@pytest.mark.parametrize("filters", [{}, {"name": "web"}])
def test_of_those_that_are_not_on_the_page_hardly_anything_is_read(
    world: Fleet, filters: dict[str, str]
) -> None:
    servers(world, user_data="x" * 2**16, project_id=PROJECT)
    with statements() as said:
        page, more = list_servers(world.site, ADMIN, ServerQuery(filters=filters, limit=3))
    assert (len(page), more) == (3, True)
    assert all(one.record.user_data for one in page)
    assert [len(one.values) for one in said if "user_data" in one.text] == [3]
    (search,) = (one.text for one in said if "ORDER BY" in one.text and "FROM server" in one.text)
    assert ("LIMIT" in search) == (not filters)


def test_one_host_is_shown_without_reading_the_others(world: Fleet) -> None:
    servers(world, project_id=PROJECT)
    (listed, _) = list_services(world.site)
    world.site.hosts()
    with statements() as said:
        for shown in (
            find_service(world.site, listed.record.id),
            find_hypervisor(world.site, str(listed.number), by_number=True),
        ):
            assert shown == listed
    facts = [one for one in said if "host.facts" in one.text]
    assert [len(one.values) for one in facts] == [1, 1]
    rows = [one for one in said if "FROM server" in one.text]
    assert [len(one.values) for one in rows] == [1, 1]
    assert not [one for one in said if "server.user_data" in one.text]
    for unknown in (listed.record.name, "h9"):
        with pytest.raises(NotFound):
            find_service(world.site, unknown)
    with pytest.raises(NotFound):
        find_hypervisor(world.site, listed.record.id, by_number=True)
