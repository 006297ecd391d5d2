"""What hosts tell of the VFs of ports: what each is set to, and what was mended."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import ClassVar

import sqlalchemy as sa
import structlog

from lanekeeper.control.site import Site
from lanekeeper.domain.compute.event import HOLD_PORT, MEND_PORT, ServerEvent
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.port import PortStatus
from lanekeeper.domain.network.port_vf import Mend, PortVf
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.protocol import HostVfs, VfFact, VfMend
from lanekeeper.store.compute.server import event_insert
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.host.host import host_get, host_is_frozen
from lanekeeper.store.network.port_hold import port_status
from lanekeeper.store.network.port_vf import Carrier, vf_carriers, vfs_of_host, vfs_put

log = structlog.get_logger("lanekeeper.network")


def report_vfs(site: Site, host_id: str, told: HostVfs) -> None:
    """Take over what a host tells of its guests' VFs. Of a frozen host nothing is concluded.

    What is told of a port that no server of the host has is passed over. Where nothing is new,
    nothing is written.

    Raises:
        Invalid: a port is told of twice, or a VF at no address.
        Conflict: a port was just deleted.
    """
    now = site.clock()
    vfs = {one.port_id: _seen(host_id, one, now) for one in told.vfs}
    if len(vfs) != len(told.vfs):
        raise Invalid("vfs: a port is told of twice")
    with site.database.read() as connection:
        if _news(connection, host_id, vfs, now).is_none:
            return

    def work(connection: sa.Connection) -> _News:
        host_lock(connection, host_id)
        if host_is_frozen(connection, host_id):
            return _News()
        news = _news(connection, host_id, vfs, now)
        vfs_put(connection, news.new, news.changed)
        _follow_uplinks(connection, news, now)
        if news.mended or news.held:
            name = host_get(connection, host_id).name
            _note(connection, name, [*news.mended, *news.held], now)
        return news

    news = site.database.write(work)
    for held in news.held:
        log.warning(
            "port.uplink",
            host=host_id,
            server=held.server_id,
            port=held.vf.port_id,
            device=held.vf.address,
            state="down" if held.vf.held_down else "up",
            why=held.vf.held_down,
        )
    for one in news.mended:
        log.warning(
            "port.vf_mended",
            host=host_id,
            server=one.server_id,
            port=one.vf.port_id,
            device=one.vf.address,
            settings=list(one.mend.lost),
        )


def _seen(host_id: str, told: VfFact, now: datetime) -> PortVf:
    return PortVf(
        port_id=told.port_id,
        host_id=host_id,
        address=str(PciAddress.parse(told.address)),
        found=told.found.settings(),
        unknown=tuple(told.unknown),
        mended=_mend(told.mended) if told.mended is not None else None,
        held_down=told.held_down,
        since=now,
    )


def _mend(told: VfMend) -> Mend:
    try:
        at = told.at.astimezone(UTC)
    except OverflowError as error:
        raise Invalid(f"mended: {told.at} is in no year from 1 to 9999 of UTC") from error
    return Mend(at=at, lost=tuple(told.lost), was=told.was.settings())


@dataclass(frozen=True, slots=True)
class _Mended:
    """A mend that was not known yet, of a port that a server has."""

    server_id: str
    project_id: str
    vf: PortVf
    mend: Mend
    is_to_be_noted: bool
    action: ClassVar[str] = MEND_PORT

    def said(self, host_name: str) -> str:
        return (
            f"port {self.vf.port_id}: {', '.join(self.mend.lost)} of its VF {self.vf.address} "
            f"had been changed by something else on {host_name}, and was set again"
        )


@dataclass(frozen=True, slots=True)
class _Held:
    """A port of a server whose link is held down now, or no more."""

    server_id: str
    project_id: str
    vf: PortVf
    is_to_be_noted: bool
    action: ClassVar[str] = HOLD_PORT

    def said(self, host_name: str) -> str:
        return (
            f"port {self.vf.port_id}: its VF {self.vf.address} on {host_name} has no link: "
            f"{self.vf.held_down}"
        )


@dataclass(frozen=True, slots=True)
class _News:
    """What was told and is not known yet.

    Attributes:
        again: ports of which something is told again; nobody holds their links down.
    """

    new: list[PortVf] = field(default_factory=list)
    changed: list[PortVf] = field(default_factory=list)
    mended: list[_Mended] = field(default_factory=list)
    held: list[_Held] = field(default_factory=list)
    again: list[str] = field(default_factory=list)

    @property
    def is_none(self) -> bool:
        return not (self.new or self.changed)


def _news(
    connection: sa.Connection, host_id: str, told: Mapping[str, PortVf], now: datetime
) -> _News:
    """What of *told* is not known yet, in the order of the ports' ids."""
    carriers, known = vf_carriers(connection, host_id), vfs_of_host(connection, host_id)
    heard = carriers.keys() & told.keys()
    news = _News()
    for port_id in sorted(known.keys() | heard):
        if port_id in heard:
            _follow(news, carriers[port_id], told[port_id], now)
        elif (ended := known[port_id].ended(now)) != known[port_id]:
            news.changed.append(ended)
    return news


def _follow(news: _News, carrier: Carrier, told: PortVf, now: datetime) -> None:
    before, after = carrier.vf, told.follows(carrier.vf)
    if after == before:
        return
    if told.mended is not None and told.mends_again(before):
        is_to_be_noted = after.is_to_be_noted(now)
        if is_to_be_noted:
            after = replace(after, noted_at=now)
        news.mended.append(
            _Mended(carrier.server_id, carrier.project_id, after, told.mended, is_to_be_noted)
        )
    if bool(after.held_down) != bool(before is not None and before.held_down):
        is_to_be_noted = bool(after.held_down) and after.is_to_be_noted(now)
        if is_to_be_noted:
            after = replace(after, noted_at=now)
        news.held.append(_Held(carrier.server_id, carrier.project_id, after, is_to_be_noted))
    elif before is not None and before.found is None and not after.held_down:
        news.again.append(after.port_id)  # it may have been held down before
    (news.new if before is None else news.changed).append(after)


def _follow_uplinks(connection: sa.Connection, news: _News, now: datetime) -> None:
    """Have ports say whether their VFs have a link."""
    if down := [one.vf.port_id for one in news.held if one.vf.held_down]:
        port_status(connection, down, PortStatus.DOWN, now)
    if back := [*(one.vf.port_id for one in news.held if not one.vf.held_down), *news.again]:
        port_status(connection, back, PortStatus.ACTIVE, now)


def _note(
    connection: sa.Connection, host_name: str, news: Iterable[_Mended | _Held], now: datetime
) -> None:
    """Write among what happened to their servers what is to be noted."""
    for one in news:
        if one.is_to_be_noted:
            event_insert(
                connection,
                ServerEvent(
                    server_id=one.server_id,
                    action=one.action,
                    at=now,
                    request_id=f"req-{uuid.uuid4()}",
                    project_id=one.project_id,
                    detail={
                        "host": host_name,
                        "port": one.vf.port_id,
                        "said": one.said(host_name),
                    },
                ),
            )
