"""The network cards of a new server: ports that are there, or networks to make ports on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.network.port_able import check_switch_rules
from lanekeeper.control.network.port_rules import needs_filter
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.network.apart import word_of
from lanekeeper.domain.network.binding import HostNetwork, PortFacts, Refusal, bind
from lanekeeper.domain.network.failover import check_pair, is_pair
from lanekeeper.domain.network.network import NetworkRecord
from lanekeeper.domain.network.port import PortRecord, VnicType
from lanekeeper.domain.network.promise import Promise, promise_of
from lanekeeper.domain.network.qos import QosRule
from lanekeeper.domain.network.segment import Segment, physical_networks_of
from lanekeeper.domain.network.vf_wanted import abilities_for, abilities_needed, check_carried
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.pci.request import DeviceRequest, port_request
from lanekeeper.domain.scheduling.host import DeviceNeed
from lanekeeper.store.network.network import network_show
from lanekeeper.store.network.port import port_missing, ports_for_server
from lanekeeper.store.network.qos import qos_rules_of

CARDS_MAX = 32
"""Cards of one server; each needs a PCIe root port of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NicAsked:
    """One network card: a port that is there, or a network to make one on.

    Attributes:
        vnic_type, trusted: of the port that is made. Only a question about a port that might be
            made asks for them; None leaves the kind to flavor, image and configuration.
    """

    port_id: str | None = None
    network_id: str | None = None
    fixed_ip: str | None = None
    tag: str = ""
    vnic_type: VnicType | None = None
    trusted: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """One card of a server: what it needs of the host, and where its port comes from.

    Attributes:
        physical_networks: those on any of which it would be right.
        need: the device that it is; None for a card of a virtual switch.
        port: None where one of *vnic_type* is made on *network* when the host is known.
        is_guest: whether nothing but the network's being shared lets its project in.
        rules: of the QoS policy that the port has, or gets from its network.
    """

    physical_networks: tuple[str, ...]
    need: DeviceNeed | None
    vnic_type: VnicType
    rules: tuple[QosRule, ...] = ()
    port: PortRecord | None = None
    network: NetworkRecord | None = None
    is_guest: bool = False
    fixed_ip: str | None = None
    tag: str = ""

    @property
    def is_pair(self) -> bool:
        """Whether it is a VF with a card of a virtual switch beside it."""
        return self.port is not None and is_pair(self.port.vnic_type, self.port.profile)

    @property
    def is_switched(self) -> bool:
        """Whether it is, or has beside it, a card of a virtual switch."""
        return self.need is None or self.is_pair


def check_nics(
    connection: sa.Connection,
    caller: Caller,
    asked: Sequence[NicAsked],
    policy: NumaPolicy | None,
    made: VnicType,
) -> tuple[Nic, ...]:
    """Look up the ports and networks that a new server names; ports on networks are *made* so.

    Raises:
        Invalid: one does not exist, comes twice, or no host can carry it; they are too many.
        Conflict: a port is in use.
    """
    if len(asked) > CARDS_MAX:
        raise Invalid(f"networks: {len(asked)} cards, a server has {CARDS_MAX} at most")
    ids = [nic.port_id for nic in asked if nic.port_id]
    if len(set(ids)) != len(ids):
        raise Invalid("networks: a port is named twice")
    everybody = None if caller.is_admin else caller.project_id
    try:
        ports = {port.id: port for port in ports_for_server(connection, everybody, ids)}
        for port in ports.values():
            # A network's owner sees all ports on it, but they are not theirs to boot with.
            if everybody is not None and port.project_id != everybody:
                raise port_missing(port.id)
    except NotFound as error:
        raise Invalid(str(error)) from error
    return tuple(
        _nic_of_port(ports[nic.port_id], nic, policy)
        if nic.port_id
        else _nic_on_network(connection, caller, nic, policy, nic.vnic_type or made)
        for nic in asked
    )


def default_vnic_type(site: Site) -> VnicType:
    """The kind of a port that is made where neither flavor nor image says."""
    return VnicType(site.config.lanekeeper.default_vnic_type)


def _nic_of_port(port: PortRecord, asked: NicAsked, policy: NumaPolicy | None) -> Nic:
    if port.device_id:
        raise Conflict(
            f"Port {port.id} is still in use.", hint="use another port, or delete its server"
        )
    if asked.fixed_ip:
        raise Invalid("Specified Fixed IP cannot be used with port: a port has its addresses")
    if not port.fixed_ips and not port.segments:
        raise Invalid(f"Port {port.id} requires a FixedIP in order to be used.")
    facts = PortFacts(vnic_type=port.vnic_type, profile=port.profile)
    physical = _carried(facts, port.segments, f"Port {port.id}")
    own = NumaPolicy(port.numa_affinity_policy) if port.numa_affinity_policy else None
    request = port_request(
        port.vnic_type,
        physical[0],
        others=physical[1:],
        trusted=port.profile.get("trusted"),
        numa_policy=own or policy,
        abilities=abilities_needed(port),
    )
    promise = promise_of(port.qos_rules)
    need = _need(port.id, f"port {port.name or port.id}", request, promise, physical)
    if need is not None:
        need = replace(need, apart=word_of(port.profile))
    return Nic(
        physical_networks=physical,
        need=need,
        vnic_type=port.vnic_type,
        rules=port.qos_rules,
        port=port,
        tag=asked.tag,
    )


def _nic_on_network(
    connection: sa.Connection,
    caller: Caller,
    asked: NicAsked,
    policy: NumaPolicy | None,
    vnic_type: VnicType,
) -> Nic:
    """A card on a network, whose port is made when the host is known."""
    network_id = asked.network_id or ""
    everybody = None if caller.is_admin else caller.project_id
    network = network_show(connection, network_id, project_id=everybody)
    if network is None:
        raise network_missing(network_id)
    if asked.fixed_ip and not network.subnets:
        raise Invalid(f"Network {network.id} has no subnet, so it has no address to give")
    policy_id = network.qos_policy_id
    rules = qos_rules_of(connection, [policy_id]).get(policy_id or "", ())
    check_carried(f"on network {network.id}", vnic_type, rules)
    facts = PortFacts(vnic_type=vnic_type)
    physical = _carried(facts, network.segments, f"Network {network.id}")
    request = port_request(
        vnic_type,
        physical[0],
        others=physical[1:],
        trusted=asked.trusted,
        numa_policy=policy,
        abilities=abilities_for(rules),
    )
    name = f"a port on network {network.name or network.id}"
    need = _need(str(uuid.uuid4()), name, request, promise_of(rules), physical)
    return Nic(
        physical_networks=physical,
        need=need,
        vnic_type=vnic_type,
        rules=tuple(rules),
        network=network,
        is_guest=everybody not in (None, network.project_id) and not network.external,
        fixed_ip=asked.fixed_ip,
        tag=asked.tag,
    )


def network_missing(network_id: str) -> Invalid:
    return Invalid(f"Network {network_id[:80]} could not be found.")


def _need(
    need_id: str,
    name: str,
    request: DeviceRequest | None,
    promise: Promise,
    physical_networks: tuple[str, ...],
) -> DeviceNeed | None:
    if request is None:
        return None
    return DeviceNeed(
        id=need_id,
        name=name,
        request=request,
        physical_networks=physical_networks,
        promise=promise,
    )


def _carried(facts: PortFacts, segments: Iterable[Segment], what: str) -> tuple[str, ...]:
    """The physical networks on any of which a host can carry a port of such a kind.

    Raises:
        Invalid: no host can carry it, or it is on none.
    """
    # Asked of a host that reaches nothing: what it says of the port itself stands first.
    refusal = bind(facts, (), HostNetwork(name="any", pairs=True))
    assert isinstance(refusal, Refusal), "nothing is bound without a segment"
    reason = refusal.reasons[0]
    if reason.code != "segment":
        raise Invalid(f"{what}: {reason.message}", hint=reason.hint)
    physical_networks = physical_networks_of(segments)
    if not physical_networks:
        raise Invalid(
            f"{what}: its network has no physical network, so no host can serve it",
            hint="use a network of type vlan or flat",
        )
    return physical_networks


def check_switched(nics: Iterable[Nic]) -> None:
    """Refuse what ports of a virtual switch would be asked and not keep.

    Network takes such ports as Neutron does, since where they will be is not known then.

    Raises:
        Conflict: code QosRuleNotSupported.
    """
    for nic in nics:
        if nic.is_switched:
            made = f"A normal port on network {nic.network.id}" if nic.network else ""
            check_switch_rules(f"Port {nic.port.id}" if nic.port else made, nic.rules)


def check_pairs(nics: Iterable[Nic], properties: Mapping[str, str]) -> None:
    """Refuse failover pairs that a guest of an image with *properties* cannot have.

    Raises:
        Invalid: as ``check_pair``.
    """
    for nic in nics:
        if nic.is_pair and nic.port is not None:
            check_pair(f"Port {nic.port.id}", nic.physical_networks, properties)


def need_filter(
    site: Site, nics: Iterable[Nic], groups: Iterable[str] = (), project_id: str = ""
) -> bool:
    """Whether a port of a virtual switch has groups that its host has to enforce; *groups* and
    *project_id* are of those that are made.
    """
    told = list(groups)
    return any(
        needs_filter(site, nic.port.security_groups, nic.port.project_id)
        if nic.port is not None
        else needs_filter(site, told, project_id)
        for nic in nics
        if nic.need is None
    )
