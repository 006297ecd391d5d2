"""``/v2.0/agents`` and ``/v2.0/availability_zones``: hosts, as Network's clients know them."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.network.moment import agent_moment
from lanekeeper.api.row import ANYONE, READER, Call, Policy, Row
from lanekeeper.control.network.agent import AGENT_TYPE, NetworkAgent, list_agents, show_agent
from lanekeeper.domain.errors import NotOffered

KIND = Collected(
    path="agents",
    plural="agents",
    attributes=frozenset(
        {"id", "agent_type", "binary", "host", "topic", "admin_state_up", "alive"}
        | {"availability_zone", "created_at", "started_at", "heartbeat_timestamp", "description"}
        | {"resources_synced", "configurations"}
    ),
)
_ZONES = Collected(
    path="availability_zones",
    plural="availability_zones",
    attributes=frozenset({"name", "resource", "state"}),
)


def view(agent: NetworkAgent) -> View:
    """An agent in the API's shape; its times are agents' times."""
    return {
        "id": agent.id,
        "agent_type": AGENT_TYPE,
        "binary": "lanekeeper-agent",
        "host": agent.host_name,
        "topic": "N/A",
        "admin_state_up": agent.enabled,
        "alive": agent.alive,
        "availability_zone": None,
        "created_at": agent_moment(agent.created_at),
        "started_at": agent_moment(agent.created_at),
        "heartbeat_timestamp": agent_moment(agent.heartbeat_at or agent.created_at),
        "description": agent.description or None,
        "resources_synced": None,
        "configurations": {
            "device_mappings": {name: list(pfs) for name, pfs in agent.device_mappings.items()},
            "devices": agent.devices,
            "extensions": [],
            "resource_provider_bandwidths": {
                one.interface: {"egress": one.egress_kbps, "ingress": one.ingress_kbps}
                for one in agent.bandwidths
            },
            "resource_provider_hypervisors": dict.fromkeys(
                (one.interface for one in agent.bandwidths), agent.host_name
            ),
            "resource_provider_inventory_defaults": _defaults(agent),
        },
    }


def _defaults(agent: NetworkAgent) -> View:
    """What inventories have beside their total: an agent has one word for all of them."""
    if not agent.bandwidths:
        return {}
    one = agent.bandwidths[0]
    most = {} if one.max_unit is None else {"max_unit": one.max_unit}
    return most | {
        "allocation_ratio": one.allocation_ratio,
        "min_unit": one.min_unit,
        "step_size": one.step_size,
        "reserved": one.reserved,
    }


def list_(call: Call[None]) -> View:
    """List agents; nobody but an admin sees one."""
    wanted_columns(call, KIND)
    return answer(call, KIND, [view(agent) for agent in list_agents(call.site, call.caller)])


def show(call: Call[None]) -> View:
    """Show an agent."""
    shown = view(show_agent(call.site, call.caller, call.path["id"]))
    return {"agent": only(shown, call.asked_all("fields"))}


def change(call: Call[None]) -> None:
    """Agents are hosts, and hosts are changed by Compute."""
    show_agent(call.site, call.caller, call.path["id"])
    raise NotOffered(
        "agents cannot be changed or deleted here",
        hint="a host is taken out of use by: openstack compute service set --disable, or delete",
    )


def zones(call: Call[None]) -> View:
    """List the availability zones of networks: one, in which all of them are."""
    wanted_columns(call, _ZONES)
    zone = {"name": "nova", "resource": "network", "state": "available"}
    return answer(call, _ZONES, [zone])


_READ = Policy("get_agent", READER)
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/agents", handler=list_, policy=_READ),
    Row(method="GET", path="/v2.0/agents/{id}", handler=show, policy=_READ),
    Row(method="PUT", path="/v2.0/agents/{id}", handler=change, policy=_READ),
    Row(method="DELETE", path="/v2.0/agents/{id}", handler=change, policy=_READ),
    Row(
        method="GET",
        path="/v2.0/availability_zones",
        handler=zones,
        policy=Policy("get_availability_zone", ANYONE),
    ),
)
