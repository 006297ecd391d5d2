"""Settings of VFs: what a port asks of its own, and how the kernel is told."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.port import VnicType
from lanekeeper.domain.network.qos import Direction, QosRule, RuleType
from lanekeeper.domain.network.vf_wanted import check_carried, link_state, vf_rates
from lanekeeper.domain.pci.vf_change import AT_REST, VfChange
from lanekeeper.domain.pci.vf_settings import LinkState
from lanekeeper.host.netlink import VfLinks
from lanekeeper.protocol import LINK_STATES
from vectors.case import Answer, Data

_NUMBERS = {
    "IFLA_VF_MAC": 1,
    "IFLA_VF_VLAN": 2,
    "IFLA_VF_SPOOFCHK": 4,
    "IFLA_VF_LINK_STATE": 5,
    "IFLA_VF_RATE": 6,
    "IFLA_VF_TRUST": 9,
}
"""Linux ``include/uapi/linux/if_link.h``."""


def link_states(data: Data) -> Iterator[Answer]:
    given = data["input"]
    if "netlink_link_state" in given:
        said: dict[str, Any] = {"state": LINK_STATES[LinkState(given["netlink_link_state"])]}
    elif "port_security_enabled" in given:
        said = _told(given["vf"], VfChange(spoofchk=given["port_security_enabled"]))
    else:
        flags = {name: given[name] for name in ("admin_state_up", "propagate_uplink_status")}
        said = _told(given["vf"], VfChange(link_state=link_state(**flags)))
    yield Answer(said, data["expect"])


def netlink_vf(data: Data) -> Iterator[Answer]:
    wanted = data["expect"]["struct"]
    message = _message(data["input"]["ifindex"], wanted["vf"], _change(data))
    name, fields = _setting(message)
    attribute = f"{name} ({_NUMBERS[name]})"
    if name == "IFLA_VF_MAC":
        fields["mac_field_bytes"] = 32
    names = {"spoofchk": "setting", "trust": "setting"}
    said = {
        "attribute_path": ["IFLA_VFINFO_LIST (22)", "IFLA_VF_INFO (1)", attribute],
        "struct": {names.get(field, field): value for field, value in fields.items()},
        "example_little_endian_hex": message.hex(),
    }
    yield Answer(said, data["expect"])


def qos_vf_rate(data: Data) -> Iterator[Answer]:
    given = data["input"]
    now = given["vf_current_mbps"]
    rules = [_rule(place, rule) for place, rule in enumerate(given["rules"])]
    try:
        check_carried("port", VnicType.DIRECT, rules)
    except Conflict:
        yield Answer("refused", data["expect"]["final_mbps"], "final_mbps")
        return
    rates = vf_rates(rules)
    least, most = rates.min_tx, rates.max_tx
    if given["action"] == "gone":
        # Only a VF that nobody holds is cleaned; the claim says who does, not the VF's driver.
        is_free = given["vf_assigned"] == "none"
        assert AT_REST.rates is not None
        least, most = AT_REST.rates if is_free else (now["min_tx_rate"], now["max_tx_rate"])
    said = {"max_tx_rate": most, "min_tx_rate": least}
    yield Answer(said, data["expect"]["final_mbps"], "final_mbps")


def _rule(place: int, given: dict[str, Any]) -> QosRule:
    return QosRule(
        id=str(place),
        type=RuleType(given["type"]),
        direction=Direction(given.get("direction", "egress")),
        kbps=given.get("max_kbps", given.get("min_kbps", 0)),
        burst_kbps=given.get("max_burst_kbps", 0),
    )


def _change(data: Data) -> VfChange:
    """Read the words of iproute2, the wanted change of one VF."""
    wanted = data["expect"]["struct"]
    if "max_tx_rate" in wanted:
        return VfChange(rates=(wanted["min_tx_rate"], wanted["max_tx_rate"]))
    name, value = data["input"]["iproute2_equivalent"].split()[-2:]
    match name:
        case "mac":
            return VfChange(mac=value)
        case "vlan":
            return VfChange(vlan=int(value))
        case "state":
            states = {said: state for state, said in LINK_STATES.items()}
            return VfChange(link_state=states[value])
        case _:
            return VfChange(**{name: value == "on"})


def _message(ifindex: int, vf: int, change: VfChange) -> bytes:
    asked: list[bytes] = []

    def kernel(request: bytes) -> bytes:
        asked.append(request)
        return struct.pack("=IHHIIi", 36, 2, 0x100, 1, 0, 0) + request[:16]

    VfLinks(kernel).write(ifindex, "PF", vf, change)
    (message,) = asked
    return message


def _setting(message: bytes) -> tuple[str, dict[str, Any]]:
    link = ifinfmsg(message)
    link.decode()
    (info,) = link.get_attr("IFLA_VFINFO_LIST").get_attrs("IFLA_VF_INFO")
    ((name, value),) = [(one[0], one[1]) for one in info["attrs"]]
    return name, {key: value[key] for key in value if key != "attrs"}


def _told(vf: int, change: VfChange) -> dict[str, Any]:
    name, fields = _setting(_message(7, vf, change))
    value = fields[name.removeprefix("IFLA_VF_").lower()]
    words: dict[str, list[str]] = {
        "IFLA_VF_SPOOFCHK": ["off", "on"],
        "IFLA_VF_LINK_STATE": list(LINK_STATES.values()),
    }
    word = words[name][value]
    return {"netlink_attr": name, "vf": fields["vf"], "value": value, "iproute2": word}
