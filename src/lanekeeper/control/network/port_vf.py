"""What hosts tell of the VFs of ports: what each is set to, and what was mended."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import sqlalchemy as sa
import structlog

from lanekeeper.control.site import Site
from lanekeeper.domain.compute.event import MEND_PORT, ServerEvent
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.port_vf import Mend, PortVf
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.protocol import HostVfs, VfFact, VfMend
from lanekeeper.store.compute.server import event_insert
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.host.host import host_get, host_is_frozen
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

    def work(connection: sa.Connection) -> list[_Mended]:
        host_lock(connection, host_id)
        if host_is_frozen(connection, host_id):
            return []
        news = _news(connection, host_id, vfs, now)
        vfs_put(connection, news.new, news.changed)
        if news.mended:
            _note(connection, host_get(connection, host_id).name, news.mended, now)
        return news.mended

    mended = site.database.write(work)
    for one in mended:
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


@dataclass(frozen=True, slots=True)
class _News:
    new: list[PortVf]
    changed: list[PortVf]
    mended: list[_Mended]

    @property
    def is_none(self) -> bool:
        return not (self.new or self.changed)


def _news(
    connection: sa.Connection, host_id: str, told: Mapping[str, PortVf], now: datetime
) -> _News:
    """What of *told* is not known yet, in the order of the ports' ids."""
    carriers, known = vf_carriers(connection, host_id), vfs_of_host(connection, host_id)
    heard = carriers.keys() & told.keys()
    news = _News([], [], [])
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
    (news.new if before is None else news.changed).append(after)


def _note(connection: sa.Connection, host_name: str, mended: list[_Mended], now: datetime) -> None:
    """Write mends among what happened to their servers."""
    for one in mended:
        if one.is_to_be_noted:
            said = (
                f"port {one.vf.port_id}: {', '.join(one.mend.lost)} of its VF {one.vf.address} "
                f"had been changed by something else on {host_name}, and was set again"
            )
            event_insert(
                connection,
                ServerEvent(
                    server_id=one.server_id,
                    action=MEND_PORT,
                    at=now,
                    request_id=f"req-{uuid.uuid4()}",
                    project_id=one.project_id,
                    detail={"host": host_name, "port": one.vf.port_id, "said": said},
                ),
            )
