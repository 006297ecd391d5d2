"""Hosts as Network's clients know them: each is a NIC Switch agent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lanekeeper.control.caller import Caller
from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.network.scope import missing, sees_all
from lanekeeper.control.site import Site
from lanekeeper.domain import typed
from lanekeeper.domain.network.binding import HostNetwork
from lanekeeper.protocol import BandwidthFact
from lanekeeper.store.host.host import HostTold, hosts_told

AGENT_TYPE = "NIC Switch agent"
"""Source: neutron-lib ``constants.py``, AGENT_TYPE_NIC_SWITCH."""

_NAMESPACE = uuid.UUID("5a0b3a52-9c0c-5a57-8f32-1c1a9a7b4c11")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAgent:
    """One host's agent. ``heartbeat_at`` is None before its first word."""

    id: str
    host_name: str
    alive: bool
    enabled: bool
    description: str
    device_mappings: Mapping[str, tuple[str, ...]]
    devices: int
    bandwidths: tuple[BandwidthFact, ...]
    created_at: datetime
    heartbeat_at: datetime | None


def list_agents(site: Site, caller: Caller) -> tuple[NetworkAgent, ...]:
    """Every host's agent, by host name; none for a caller who may not see hosts, as in Neutron."""
    if not sees_all(caller):
        return ()
    with site.database.read() as connection:
        hosts = hosts_told(connection)
    return tuple(_agent(site, host) for host in hosts)


def show_agent(site: Site, caller: Caller, agent_id: str) -> NetworkAgent:
    """One agent.

    Raises:
        NotFound: code AgentNotFound.
    """
    for agent in list_agents(site, caller):
        if agent.id == agent_id:
            return agent
    raise missing("Agent", agent_id)


def host_network(site: Site, host: HostTold) -> HostNetwork:
    """What a host can offer to ports, for ``bind``."""
    return HostNetwork(
        name=host.name,
        alive=_is_alive(site, host),
        mappings=device_mappings(host.facts),
        bridges=host.facts.get("bridges", {}),
        guards=bool(host.facts.get("guards", False)),
        pairs=bool(host.facts.get("pairs", False)),
    )


def device_mappings(facts: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Physical network to the PFs that reach it: as mapped, and as tagged on listed devices.

    A PF without a name (its driver is vfio-pci) goes by its address.
    """
    names = {one["address"]: one.get("netdev") for one in facts.get("devices", ())}
    found: dict[str, list[str]] = {
        network: list(pfs) for network, pfs in facts.get("mappings", {}).items()
    }
    for one in facts.get("devices", ()):
        network = one.get("tags", {}).get("physical_network")
        if not network or not one.get("listed", True):
            continue
        address = one.get("parent") or one["address"]
        name = names.get(address) or address
        if name not in found.setdefault(network, []):
            found[network].append(name)
    return {network: tuple(pfs) for network, pfs in sorted(found.items())}


def _agent(site: Site, host: HostTold) -> NetworkAgent:
    mappings = device_mappings(host.facts)
    tagged = (one.get("tags", {}).get("physical_network") for one in host.facts.get("devices", ()))
    return NetworkAgent(
        id=str(uuid.uuid5(_NAMESPACE, host.id)),
        host_name=host.name,
        alive=_is_alive(site, host),
        enabled=host.enabled,
        description=host.frozen_reason or host.disabled_reason,
        device_mappings=mappings,
        devices=sum(1 for network in tagged if network),
        bandwidths=tuple(typed.convert(host.facts.get("bandwidths", ()), list[BandwidthFact])),
        created_at=host.created_at,
        heartbeat_at=host.seen_at,
    )


def _is_alive(site: Site, host: HostTold) -> bool:
    return is_alive(host.seen_at, site.clock(), site.config.lanekeeper.agent_down_s)
