"""Why a port is as it is, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from lanekeeper.domain.network.port import PortRecord, PortStatus, VifType


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The server that holds a port.

    Attributes:
        power: of its guest, as its host last told.
        problem: why its host could not do what was wanted; empty when it could.
        host_alive: whether the host's agent was heard of lately.
    """

    name: str
    host_name: str
    power: str
    problem: str = ""
    host_alive: bool = True


def why(
    port: PortRecord, holder: Holder | None, held_down: str = "", *, is_read: bool = True
) -> str:
    """Say what the port's status comes from, and what it waits for.

    *held_down* says why the host keeps the link of its VF down; *is_read* whether the host tells
    what that is set to, as it does not of a failover pair's that is away.
    """
    if port.vif_type is VifType.FAILED:
        return f"it cannot be bound on {port.host_name}: {port.binding_failure}"
    if holder is None:
        return _without_server(port)
    if holder.problem:
        return f"server {holder.name} has a problem on {holder.host_name}: {holder.problem}"
    if not holder.host_alive:
        return f"{holder.host_name}, where server {holder.name} is, was not heard of lately"
    if held_down:
        return f"its VF has no link, since nothing passes at its uplink: {held_down}"
    return _with_server(port, holder, is_read=is_read)


def _with_server(port: PortRecord, holder: Holder, *, is_read: bool) -> str:
    who = f"server {holder.name}"
    if port.vif_type is VifType.OVS:
        return _on_a_switch(port, holder)
    if port.status is PortStatus.ACTIVE and port.is_pair:
        return _paired(port, holder, is_read=is_read)
    if port.status is PortStatus.ACTIVE:
        return f"{_guest(holder)} with its device, whose settings were read back"
    if not port.admin_state_up:
        return "it is administratively down: its VF's link is disabled"
    if port.status is PortStatus.BUILD:
        return f"{holder.host_name} has not told yet that the guest of {who} has its device"
    return f"the guest of {who} is {holder.power}"


def _guest(holder: Holder) -> str:
    """The guest that has the card, and what it does: a paused one has it, too."""
    does = "is paused" if holder.power == "paused" else "runs"
    return f"the guest of server {holder.name} {does}"


def _paired(port: PortRecord, holder: Holder, *, is_read: bool) -> str:
    guest, stands_by = _guest(holder), f"with a card on bridge {port.bridge} that stands by"
    if is_read:
        return f"{guest} with its device, whose settings were read back, and {stands_by}"
    return f"{guest} {stands_by}; of its VF {holder.host_name} tells nothing now"


def _on_a_switch(port: PortRecord, holder: Holder) -> str:
    if port.status is PortStatus.ACTIVE:
        return f"{_guest(holder)} with its card on bridge {port.bridge}"
    if not port.admin_state_up:
        return "it is administratively down: the guest is shown no link"
    if port.status is PortStatus.BUILD:
        return f"{holder.host_name} has not told yet that the guest of {holder.name} has its card"
    return f"the guest of server {holder.name} is {holder.power}"


def _without_server(port: PortRecord) -> str:
    if port.device_id:
        return f"it is said to be of {port.device_id}, which is no server here"
    if port.is_bound:
        return f"it is bound on {port.host_name}, and no server has it"
    return "no server has it"


def why_unread(holder: Holder, *, is_pair: bool = False) -> str:
    """Say why it is not known what the VF of a port with a server is set to."""
    if not holder.host_alive:
        return f"{holder.host_name} was not heard of lately"
    if holder.power != "running":
        return "the guest does not run"
    if is_pair:
        return (
            f"{holder.host_name} does not tell it: it has not yet, or the VF is away, since "
            "nothing passes at its uplink (lanekeeper agent list)"
        )
    return (
        f"{holder.host_name} has not told it yet; it does within seconds of a start, unless the PF "
        "gives no answer or the agent is older than the controller"
    )
