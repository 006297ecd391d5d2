from __future__ import annotations

import pytest

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.pci.migration import check_live_migration
from lanekeeper.domain.pci.request import Alternative, DeviceRequest, port_request

MOVING, STAYING = Alternative(live_migratable=True), Alternative()


def port() -> DeviceRequest:
    request = port_request("direct", "physnet1")
    assert request is not None
    return request


def alias(*alternatives: Alternative) -> DeviceRequest:
    return DeviceRequest(alias_name="a1", count=1, alternatives=alternatives)


def test_every_alternative_has_to_be_able_to_move() -> None:
    check_live_migration([alias(MOVING, MOVING)], ports_bind_twice=False, hosts_can=False)
    for alternatives in ((STAYING,), (MOVING, STAYING), (Alternative(live_migratable=False),)):
        with pytest.raises(Conflict, match="alias a1 cannot move") as caught:
            check_live_migration([alias(*alternatives)], ports_bind_twice=True, hosts_can=True)
        assert '"live_migratable": "yes"' in caught.value.hint


def test_the_network_is_asked_only_of_ports() -> None:
    check_live_migration([port()], ports_bind_twice=True, hosts_can=True)
    with pytest.raises(Conflict, match="bound at two hosts"):
        check_live_migration([port()], ports_bind_twice=False, hosts_can=True)
    with pytest.raises(Conflict, match="do not both know"):
        check_live_migration([port()], ports_bind_twice=True, hosts_can=False)
