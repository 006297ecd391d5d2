"""Hours within a time, added up by project."""

from datetime import UTC, datetime, timedelta

import pytest

from lanekeeper.domain.compute.usage import (
    DeviceSpan,
    ServerSpan,
    hours_within,
    usage_by_project,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        (-5, -1, 0), (-5, 0, 0), (-1, 1, 1), (0, 4, 4), (1, 1.5, 0.5), (-1, 9, 4), (3, 9, 1),
        (4, 9, 0), (5, 9, 0), (-1, None, 4), (3, None, 1), (5, None, 0),
    ],
)  # fmt: skip
def test_what_lies_outside_does_not_count(since: float, until: float | None, hours: float) -> None:
    ends = None if until is None else at(until)
    assert hours_within(at(since), ends, at(0), at(4)) == hours


def test_it_is_added_up_by_project() -> None:
    def server(project_id: str, since: float, until: float | None) -> ServerSpan:
        return ServerSpan(
            server_id="s", name="s", project_id=project_id, flavor_name="f", vcpus=2, ram_mib=64,
            disk_gib=3, launched_at=at(since), ended_at=None if until is None else at(until),
        )  # fmt: skip

    def device(alias: str | None, since: float, until: float | None) -> DeviceSpan:
        ends = None if until is None else at(until)
        return DeviceSpan(
            project_id="b", resource_class="CUSTOM_A", alias=alias, since=at(since), until=ends
        )

    servers = [server("b", 0, None), server("a", -9, 1), server("b", 2, 3)]
    devices = [device("x", 0, 1), device("x", 3, None), device(None, 1, 3)]
    a, b = usage_by_project(servers, devices, at(0), at(4))
    assert (a.project_id, a.servers, a.server_hours, a.devices) == ("a", 1, 1, {})
    assert (b.servers, b.server_hours, b.vcpu_hours) == (2, 5, 10)
    assert (b.memory_mib_hours, b.disk_gib_hours) == (320, 15)
    assert (b.devices, b.aliases) == ({"CUSTOM_A": 4}, {"x": 2})
