"""Whether the VFs that ports have can do what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.vf_wanted import abilities_needed, check_able, check_carried
from lanekeeper.store.device.device import pf_drivers


def check_settings(connection: sa.Connection, ports: Iterable[PortRecord]) -> None:
    """Refuse what ports would be asked and their VFs could not do.

    Raises:
        Conflict: codes QosRuleNotSupported, VfSettingNotSupported.
    """
    asking = []
    for port in ports:
        check_carried(port.id, port.vnic_type, port.qos_rules)
        if port.device_id and abilities_needed(port):
            asking.append(port)
    drivers = pf_drivers(connection, [port.id for port in asking])
    for port in asking:
        check_able(port, drivers.get(port.id))
