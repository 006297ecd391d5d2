"""Networks: what one is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.segment import Segment, SegmentWanted

MTU_MIN = 68
"""RFC 791; a network with an IPv6 subnet needs 1280 (RFC 8200)."""
MTU_MIN_V6 = 1280


EVERYBODY = "*"
"""In place of a project that a network is shared with."""

DEFAULT_POLICY = "default"
"""In place of a QoS policy's id: the one that the project gives its new networks, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    """A network as stored. A fact, never edited.

    Attributes:
        mtu: bytes.
        shared_with: projects, ``*`` for all of them.
        subnets: ids, oldest first.
    """

    id: str
    project_id: str
    mtu: int
    created_at: datetime
    updated_at: datetime
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    external: bool = False
    port_security_enabled: bool = True
    qos_policy_id: str | None = None
    shared_with: frozenset[str] = frozenset()
    segments: tuple[Segment, ...] = ()
    subnets: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    revision: int = 1

    def is_shared_with(self, project_id: str | None) -> bool:
        """Whether a project may use it though it is another's.

        Source: neutron ``db/db_base_plugin_common.py``, _is_network_shared.
        """
        return not self.shared_with.isdisjoint((EVERYBODY, project_id or EVERYBODY))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkWanted:
    """What a request says of a new network, checked for its types only.

    Attributes:
        segments: none to have one drawn.
    """

    segments: tuple[SegmentWanted, ...] = ()
    project_id: str | None = None
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    shared: bool = False
    external: bool = False
    port_security_enabled: bool = True
    mtu: int | None = None
    qos_policy_id: str | None = None
    tags: tuple[str, ...] = ()


def check_mtu(mtu: int, most: int, ip_versions: Collection[int] = ()) -> None:
    """Refuse an MTU that the physical network or the subnets' families cannot have.

    Raises:
        Invalid: code InvalidInput; the message names the bounds.
        Conflict: code NetworkMTUSubnetConflict; an IPv6 subnet needs more.
    """
    if not MTU_MIN <= mtu <= most:
        raise Invalid(f"mtu {mtu} is not in {MTU_MIN}..{most}", code="InvalidInput")
    for version in ip_versions:
        check_mtu_of_subnet(mtu, version)


def check_mtu_of_subnet(mtu: int, ip_version: int) -> None:
    """Refuse an IPv6 subnet on a network of smaller packets than every IPv6 link carries.

    Raises:
        Conflict: code NetworkMTUSubnetConflict.
    """
    if ip_version == 6 and mtu < MTU_MIN_V6:  # noqa: PLR2004 IPv6
        raise Conflict(
            f"mtu {mtu} is below {MTU_MIN_V6}, which an IPv6 subnet needs",
            code="NetworkMTUSubnetConflict",
        )
