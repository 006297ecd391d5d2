"""How well devices are, as their hosts tell, and what policy makes of it.

A host tells what it reads only when that changes; time is followed here (``review_due``), so that
what lasts comes to count, and to count no longer, without a word from the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from threading import Lock

import sqlalchemy as sa
import structlog

from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.driver import unready
from lanekeeper.domain.pci.health import (
    Action,
    Reading,
    Rule,
    Signal,
    elapse,
    follow,
    reasons,
    vanish,
)
from lanekeeper.protocol import DeviceHealth, HostHealth
from lanekeeper.store.device.health import (
    Courses,
    Patient,
    fitness_set,
    health_forget,
    health_of,
    health_put,
    hosts_watched,
    patients_of,
)
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.host.host import host_get, host_is_frozen

log = structlog.get_logger("lanekeeper.health")

REVIEW_EVERY_S = 5.0
Rules = Mapping[Signal, Rule]


def report_health(site: Site, host_id: str, told: HostHealth) -> None:
    """Take over what a host reads of its devices. Of a frozen host nothing is concluded.

    Raises:
        Invalid: a device is told at no address, or twice.
    """
    addresses = [str(PciAddress.parse(one.address)) for one in told.devices]
    if len(set(addresses)) != len(addresses):
        raise Invalid("devices: two functions are told at one address")
    readings = dict(zip(addresses, map(_reading, told.devices), strict=True))
    _review(site, host_id, readings)


def _reading(told: DeviceHealth) -> Reading:
    return Reading(**{name: getattr(told, name) for name in Reading.__slots__})


class Reviews:
    """Comes back to devices that time may change, and to all when policy has changed."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = Lock()
        self._rules: Rules | None = None

    def review(self) -> None:
        """Raises Unavailable: the database cannot be reached."""
        with self._lock:
            rules = self._site.config.health.rules()
            every = rules != self._rules
            with self._site.database.read() as connection:
                hosts = hosts_watched(connection, every=every)
            for host_id in hosts:
                _review(self._site, host_id, {})
            self._rules = rules


def _review(site: Site, host_id: str, readings: Mapping[str, Reading]) -> None:
    now, rules = site.clock(), site.config.health.rules()

    def work(connection: sa.Connection) -> list[tuple[Patient, str]]:
        host_lock(connection, host_id)
        if host_is_frozen(connection, host_id):
            return []
        return review_host(connection, host_id, readings, rules, now)

    changed = site.database.write(work)
    if not changed:
        return
    with site.database.read() as connection:
        name = host_get(connection, host_id).name
    by_reason: dict[str, list[str]] = {}
    for one, unfit in changed:
        by_reason.setdefault(unfit, []).append(one.address)
    for unfit, addresses in by_reason.items():
        tell = log.warning if unfit else log.info
        outcome = "kept back" if unfit else "offered again"
        tell("devices.fitness", host=name, devices=addresses, reason=unfit, outcome=outcome)


def review_host(
    connection: sa.Connection,
    host_id: str,
    readings: Mapping[str, Reading],
    rules: Rules,
    now: datetime,
) -> list[tuple[Patient, str]]:
    """Follow every signal of a host's devices; returns those whose fitness has changed.

    *readings*, by address, are what was read just now; of all others only time has passed. A VF is
    as well as its PF. The host is locked by the caller.
    """
    patients, before = patients_of(connection, host_id), health_of(connection, host_id)
    after: dict[str, Courses] = {}
    for one in patients:
        known = before.get(one.id, {})
        courses = _followed(one, known, readings.get(one.address), rules, now)
        moved = {key: course for key, course in courses.items() if course.differs(known.get(key))}
        health_put(connection, one.id, moved)
        if gone := known.keys() - courses.keys():
            health_forget(connection, one.id, gone)
        after[one.id] = courses
    found: dict[str | None, str] = {}
    for one in patients:
        ills = ", ".join(reasons(after[one.id], rules, Action.EXCLUDE))
        found[one.id] = f"{one.address}: {ills}" if ills else ""
    changed = []
    for one in patients:
        unfit = "; ".join(filter(None, (_unready(one), found[one.id], found.get(one.pf_id))))
        if unfit != one.unfit:
            fitness_set(connection, one.id, unfit)
            changed.append((one, unfit))
    return changed


def _unready(one: Patient) -> str:
    """Why no guest could start with it now, whatever the rules say; empty when one could."""
    why = unready(one.driver, one.tags) if one.listed and one.present else ""
    return f"{one.address}: {why}" if why else ""


def _followed(
    one: Patient, known: Courses, reading: Reading | None, rules: Rules, now: datetime
) -> Courses:
    """What is known of each signal now; one that is ignored is not followed."""
    courses: Courses = {}
    for signal, rule in rules.items():
        before = known.get(signal)
        if rule.action is Action.IGNORE:
            continue
        if not one.present:
            if signal is Signal.MISSING:
                courses[signal] = vanish(before, rule, now)
            elif before is not None:
                courses[signal] = before
        elif reading is not None:
            courses[signal] = follow(before, signal, reading, rule, now)
        elif before is not None:
            is_back = signal is Signal.MISSING and before.wrong
            courses[signal] = (
                follow(before, signal, Reading(), rule, now)
                if is_back
                else elapse(before, rule, now)
            )
    return {signal: course for signal, course in courses.items() if not course.is_blank}
