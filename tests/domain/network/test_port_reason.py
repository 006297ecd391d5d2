"""A port's status has a reason, the nearest one first."""

from __future__ import annotations

from typing import Any

import pytest

from domain.network.network_facts import a_port
from lanekeeper.domain.network.port import STANDBY, PortStatus, VifType
from lanekeeper.domain.network.port_reason import Holder, why, why_unread

HOLDER = {"name": "web", "host_name": "h1", "power": "running"}
FAILED = {"vif_type": VifType.FAILED, "host_name": "h1", "binding_failure": "no way"}


@pytest.mark.parametrize(
    ("port", "holder", "words"),
    [
        ({"vif_type": VifType.UNBOUND}, None, "no server has it"),
        ({"host_name": "h1"}, None, "bound on h1, and no server"),
        ({"device_id": "abc"}, None, "abc, which is no server here"),
        (FAILED, None, "cannot be bound on h1: no way"),
        ({"status": PortStatus.BUILD}, {}, "h1 has not told yet"),
        ({"status": PortStatus.BUILD}, {"problem": "it burns"}, "problem on h1: it burns"),
        ({"status": PortStatus.ACTIVE}, {"host_alive": False}, "h1, where server web is, was not"),
        ({"status": PortStatus.ACTIVE}, {}, "guest of server web runs"),
        ({"status": PortStatus.ACTIVE}, {"power": "paused"}, "guest of server web is paused with"),
        ({"admin_state_up": False}, {}, "administratively down"),
        ({}, {"power": "shutdown"}, "guest of server web is shutdown"),
    ],
)
def test_the_reason_is_said(
    port: dict[str, Any], holder: dict[str, Any] | None, words: str
) -> None:
    held_by = None if holder is None else Holder(**{**HOLDER, **holder})
    assert words in why(a_port(**port), held_by)


def test_a_pair_is_not_said_to_have_a_vf_of_which_nothing_is_told() -> None:
    details = {STANDBY: {"bridge_name": "br-ex", "port_filter": True}}
    pair = a_port(status=PortStatus.ACTIVE, vif_type=VifType.HW_VEB, vif_details=details)
    holder = Holder(name="web", host_name="h1", power="running")
    assert why(pair, holder) == (
        "the guest of server web runs with its device, whose settings were read back, and with a "
        "card on bridge br-ex that stands by"
    )
    assert why(pair, holder, is_read=False) == (
        "the guest of server web runs with a card on bridge br-ex that stands by; of its VF h1 "
        "tells nothing now"
    )


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        ({"host_alive": False}, "h1 was not heard of lately"),
        ({"power": "shutdown"}, "the guest does not run"),
        ({}, "h1 has not told it yet"),
    ],
)
def test_why_it_is_not_known_what_a_vf_is_set_to(holder: dict[str, Any], words: str) -> None:
    assert words in why_unread(Holder(**{**HOLDER, **holder}))
