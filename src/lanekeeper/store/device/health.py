"""How well devices are: the course of each signal, and what it keeps from being offered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from lanekeeper.domain.pci.health import Course, Signal
from lanekeeper.store.tables import device, device_health, host

Courses = dict[Signal, Course]


@dataclass(frozen=True, slots=True)
class Patient:
    """What of a device decides whether it is well."""

    id: str
    address: str
    pf_id: str | None
    present: bool
    listed: bool
    driver: str | None
    tags: Mapping[str, str]
    unfit: str


def patients_of(connection: sa.Connection, host_id: str) -> list[Patient]:
    """Every device of a host, those that are away too."""
    columns = (device.c[name] for name in Patient.__slots__)
    rows = connection.execute(sa.select(*columns).where(device.c.host_id == host_id))
    return [Patient(*row) for row in rows]


def health_of(connection: sa.Connection, host_id: str) -> dict[str, Courses]:
    """The courses of a host's devices, by device."""
    rows = connection.execute(
        sa.select(device_health)
        .join(device, device.c.id == device_health.c.device_id)
        .where(device.c.host_id == host_id)
    ).mappings()
    return _by_device(rows)


def _by_device(rows: Iterable[sa.RowMapping]) -> dict[str, Courses]:
    found: dict[str, Courses] = {}
    for row in rows:
        values = {name: row[name] for name in Course.__slots__}
        found.setdefault(row["device_id"], {})[Signal(row["signal"])] = Course(**values)
    return found


def health_put(connection: sa.Connection, device_id: str, courses: Mapping[Signal, Course]) -> None:
    """Write down what signals have come to."""
    for signal, course in courses.items():
        mine = (device_health.c.device_id == device_id, device_health.c.signal == signal)
        values = asdict(course) | {"settled": course.is_settled}
        if not connection.execute(device_health.update().where(*mine).values(**values)).rowcount:
            connection.execute(
                device_health.insert().values(device_id=device_id, signal=signal, **values)
            )


def health_forget(connection: sa.Connection, device_id: str, signals: Iterable[Signal]) -> None:
    """Follow some signals of a device no more."""
    connection.execute(
        device_health.delete().where(
            device_health.c.device_id == device_id, device_health.c.signal.in_(sorted(signals))
        )
    )


def fitness_set(connection: sa.Connection, device_id: str, unfit: str) -> None:
    """Keep a device back for *unfit*, or offer it again where that is empty. A holder keeps it."""
    connection.execute(
        device.update()
        .where(device.c.id == device_id)
        .values(unfit=unfit, generation=device.c.generation + 1)
    )


def hosts_watched(connection: sa.Connection, *, every: bool) -> list[str]:
    """Ids of hosts with a signal that time may change; with *every*, of all with any signal."""
    query = (
        sa.select(device.c.host_id)
        .join(device_health, device_health.c.device_id == device.c.id)
        .distinct()
        .order_by(device.c.host_id)
    )
    return list(
        connection.scalars(
            query if every else query.where(~device_health.c.settled, device.c.present)
        )
    )


def health_raised(connection: sa.Connection) -> dict[str, Courses]:
    """What is raised anywhere, by device."""
    rows = connection.execute(sa.select(device_health).where(device_health.c.raised)).mappings()
    return _by_device(rows)


def health_counted(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """How many devices of each host have each signal raised: (host name, signal, number)."""
    rows = connection.execute(
        sa.select(host.c.name, device_health.c.signal, sa.func.count())
        .join(device, device.c.id == device_health.c.device_id)
        .join(host, host.c.id == device.c.host_id)
        .where(device_health.c.raised)
        .group_by(host.c.name, device_health.c.signal)
        .order_by(host.c.name, device_health.c.signal)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def unfit_counted(connection: sa.Connection) -> list[tuple[str, int]]:
    """How many listed devices of each host are kept back: (host name, number)."""
    rows = connection.execute(
        sa.select(host.c.name, sa.func.count())
        .join(host, host.c.id == device.c.host_id)
        .where(device.c.listed, device.c.present, device.c.unfit != "")
        .group_by(host.c.name)
        .order_by(host.c.name)
    )
    return [(row[0], row[1]) for row in rows]
