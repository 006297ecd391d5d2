"""``lanekeeper port``: a port from its device to its guest."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.cloud import connect

_ON_OFF = {True: "on", False: "off"}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``port`` and its verb; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("port", help="ports, and all that each hangs on")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser(
        "show", help="device, host, guest and VF settings of a port; its status and why"
    )
    show.add_argument("port", metavar="PORT", help="name or id")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(handler=run_show)


def run_show(parsed: argparse.Namespace) -> int:
    """Print one port and all that it hangs on."""
    cloud = connect()
    found = cloud.find("/network/v2.0/ports", "ports", parsed.port)
    port = cloud.get(f"/lanekeeper/v1/ports/{found['id']}")["port"]
    print(json.dumps(port, indent=2) if parsed.json else port_text(port))
    return exit_code.DONE


def port_text(port: Mapping[str, Any]) -> str:
    """The chain from the network to the guest, a link a line."""
    lines = [
        ("port", f"{port['name'] or '(no name)'} ({port['id']})"),
        ("status", f"{port['status']}: {port['why']}"),
        ("addresses", ", ".join((port["mac_address"], *port["fixed_ips"]))),
        ("network", _network(port["network"])),
        ("binding", _binding(port["binding"])),
        ("device", _device(port["device"])),
        ("host", _host(port["server"])),
        ("guest", _guest(port["server"])),
        ("VF wanted", _wanted(port["wanted"])),
    ]
    if port["wanted"] is not None:
        lines.append(("VF found", _found(port)))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name.ljust(width)}  {text}" for name, text in lines)


def _network(network: Mapping[str, Any]) -> str:
    name = network["name"] or network["id"]
    if network["physical_network"] is None:
        return f"{name}, on no physical network"
    vlan = f"VLAN {network['vlan']}" if network["vlan"] else "untagged"
    return f"{name}, {vlan} of {network['physical_network']}"


def _binding(binding: Mapping[str, Any]) -> str:
    shown = f"{binding['vnic_type']}, {binding['vif_type']}"
    if binding["host"]:
        shown += f" on {binding['host']}"
    if binding["may_go_to"]:
        shown += f"; may go to {', '.join(binding['may_go_to'])}"
    return shown


def _device(device: Mapping[str, Any] | None) -> str:
    if device is None:
        return "none"
    pf = f" of PF {device['pf_address']}" if device["pf_address"] else ""
    ill = f"; {'; '.join(device['health'])}" if device["health"] else ""
    driver = device["driver"] or "no driver"
    return f"{device['address']}{pf}, {device['dev_type']}, {device['state']}, {driver}{ill}"


def _host(server: Mapping[str, Any] | None) -> str:
    if server is None or not server["host"]:
        return "none"
    return f"{server['host']}, {'heard of' if server['host_alive'] else 'not heard of'} lately"


def _guest(server: Mapping[str, Any] | None) -> str:
    if server is None:
        return "none"
    return f"{server['name']} ({server['id']}), {server['vm_state']}, {server['power']}"


def _wanted(wanted: Mapping[str, Any] | None) -> str:
    if wanted is None:
        return "nothing: no host is told of it"
    vlan = f"VLAN {wanted['vlan']}" if wanted["vlan"] else "untagged"
    rates = f"rate {wanted['min_tx_mbps'] or 'none'} to {wanted['max_tx_mbps'] or 'any'} Mbit/s"
    return (
        f"MAC {wanted['mac']}, {vlan}, spoof check {_ON_OFF[wanted['spoof_check']]}, "
        f"trust {_ON_OFF[wanted['trusted']]}, link {wanted['link_state']}, {rates}"
    )


def _found(port: Mapping[str, Any]) -> str:
    """Say where it is read, since agents tell the controller nothing of it."""
    wanted = port["wanted"]
    at = f"ip link show {wanted['pf_netdev']}, vf {wanted['vf_index']}"
    where = f" ({at})" if wanted["pf_netdev"] and wanted["vf_index"] is not None else ""
    return f"known to the host alone{where}; its agent compares it with what is wanted and mends it"
