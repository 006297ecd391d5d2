"""``lanekeeper port``: a port from its device to its guest."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.cloud import connect
from lanekeeper.cli.table import table


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``port`` and its verb; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("port", help="ports, and all that each hangs on")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser(
        "show",
        help="device, host, guest and VF settings (wanted, found) of a port; its status and why",
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
        ("settings", _settings(port)),
    ]
    if (standby := port["standby"]) is not None:
        said = f"a virtio card on bridge {standby['bridge']}; {_GUARDS[standby['guarded_by']]}"
        lines.append(("standby", said))
    if port["mended"] is not None:
        lines.append(("mended", _mended(port["mended"])))
    width = max(len(name) for name, _ in lines)
    chain = "\n".join(f"{name.ljust(width)}  {text}" for name, text in lines)
    return f"{chain}\n\n{_compared(port)}" if port["held_by"] == "vf" else chain


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


def _settings(port: Mapping[str, Any]) -> str:
    """Who holds them, and whether they are as wanted."""
    match port["held_by"]:
        case "pf":
            return "nobody's: the guest has a whole PF and sets it as it likes"
        case "switch":
            return f"the virtual switch's: this port has no VF; {_GUARDS[port['guarded_by']]}"
        case "vf" if port["found"] is None:
            return f"of the VF not known: {port['unread']}"
        case "vf":
            count = len(port["differences"])
            said = f"{count} not as wanted" if count else "as wanted"
            return f"{said}, found so since {port['found']['since']}"
        case _:
            return "none: no host is told of it"


def _mended(mended: Mapping[str, Any]) -> str:
    was = mended["was"]
    lost = [
        f"{label} (was {show(was[name])})"
        for name, (label, show) in _SHOWN.items()
        if name in mended["settings"]
    ]
    return f"{mended['at']}, changed by something else and set again: {', '.join(lost)}"


def _compared(port: Mapping[str, Any]) -> str:
    """What is wanted of the VF beside what was found, a setting a line."""
    wanted, found = port["wanted"], port["found"]
    unknown = found["unknown"] if found else ()
    rows = []
    for name, (label, show) in _SHOWN.items():
        is_now = show(found[name]) if found else "?"
        if name in unknown:
            is_now += " (the driver cannot set it)"
        rows.append((label, show(wanted[name]), is_now, "<" * (name in port["differences"])))
    if found and found["qos"]:
        mark = "<" if "vlan" in port["differences"] else ""
        rows.append(("VLAN priority", "0", str(found["qos"]), mark))
    return table(("setting", "wanted", "found", "differs"), rows)


_GUARDS = {
    "flows": "flows enforce its security groups and check who its guest says it is",
    "nobody": "nothing filters or checks its packets, since its port security is off",
    "host": "nothing filters or checks its packets, since its host does not (firewall_driver)",
}


def _switched(value: bool | None) -> str:  # a value as any other
    return {True: "on", False: "off", None: "not told"}[value]


_SHOWN: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "mac": ("MAC", lambda mac: mac or "none"),
    "vlan": ("VLAN", lambda vlan: str(vlan) if vlan else "untagged"),
    "spoof_check": ("spoof check", _switched),
    "trusted": ("trust", _switched),
    "link_state": ("link", lambda state: state or "not told"),
    "min_tx_mbps": ("rate at least", lambda mbps: f"{mbps} Mbit/s" if mbps else "none"),
    "max_tx_mbps": ("rate at most", lambda mbps: f"{mbps} Mbit/s" if mbps else "any"),
}
