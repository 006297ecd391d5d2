"""What guards a port of a virtual switch: who it may say it is, and what may pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Direction(StrEnum):
    """As the guest sees it. Source: neutron ``extensions/securitygroup.py``."""

    INGRESS = "ingress"
    EGRESS = "egress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a security group, names made numbers; what it matches may pass.

    Attributes:
        version: 4 or 6.
        protocol: None for any.
        first, last: destination ports; of ICMP the type and the code; None where nothing is said.
        prefix: of the other side; None for any.
        group: likewise a security group; who its members are is told beside the rules.
        stateful: whether the answers pass, too.
    """

    direction: Direction
    version: Literal[4, 6] = 4
    protocol: int | None = None
    first: int | None = None
    last: int | None = None
    prefix: str | None = None
    group: str | None = None
    stateful: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A port that is guarded, and where it is on its bridge.

    Attributes:
        number: OpenFlow's number of the port.
        zone: conntrack zone; of this port alone on its host.
        vlan: of its network; 0 for none.
        mac: its own.
        sources: from which MAC and prefix it may send; its own MAC and addresses are among them.
        rules: of all of its groups.
    """

    number: int
    zone: int
    vlan: int
    mac: str
    sources: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def macs(self) -> tuple[str, ...]:
        """From which it may send, its own first; it has that whatever its addresses are."""
        return tuple(dict.fromkeys((self.mac, *(mac for mac, _ in self.sources))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A port of the bridge that nobody guards: a card, the host's own, a guest's without guard.

    Attributes:
        number: OpenFlow's.
        untagged: the VLAN that frames without a tag are in, 0 for none; None where none are taken.
        tagged: VLANs of which it takes frames with a tag; None for all.
    """

    number: int
    untagged: int | None = 0
    tagged: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """All that is to be guarded on one bridge.

    Attributes:
        members: prefixes of the members of each group that a rule names.
    """

    ports: tuple[Guarded, ...] = ()
    beside: tuple[Beside, ...] = ()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
