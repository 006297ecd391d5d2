"""Whether the VFs that ports have can do what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.qos import QosRule
from lanekeeper.domain.network.vf_wanted import abilities_needed, check_able, check_carried
from lanekeeper.store.device.device import pf_drivers


def check_switch_rules(what: str, rules: Iterable[QosRule]) -> None:
    """Refuse QoS rules of *what*, a port of a virtual switch.

    Raises:
        Conflict: code QosRuleNotSupported.
    """
    for rule in rules:
        raise Conflict(
            f"{what}: rule {rule.type} of its QoS policy would not be kept, since hosts apply none "
            "to ports of a virtual switch",
            hint="take the policy off the port or network, or use a VF alone (vnic_type direct)",
            code="QosRuleNotSupported",
        )


def check_settings(connection: sa.Connection, ports: Iterable[PortRecord]) -> None:
    """Refuse what ports would be asked and their VFs could not do.

    Raises:
        Conflict: codes QosRuleNotSupported, VfSettingNotSupported.
    """
    asking = []
    for port in ports:
        check_carried(port.id, port.vnic_type, port.qos_rules)
        if port.is_switched:
            check_switch_rules(f"Port {port.id}", port.qos_rules)
        if port.device_id and abilities_needed(port):
            asking.append(port)
    drivers = pf_drivers(connection, [port.id for port in asking])
    for port in asking:
        check_able(port, drivers.get(port.id))
