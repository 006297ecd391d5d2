"""A port's status has a reason, the nearest one first."""

from __future__ import annotations

from typing import Any

import pytest

from domain.network.network_facts import a_port
from lanekeeper.domain.network.port import PortStatus, VifType
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
        ({"admin_state_up": False}, {}, "administratively down"),
        ({}, {"power": "shutdown"}, "guest of server web is shutdown"),
    ],
)
def test_the_reason_is_said(
    port: dict[str, Any], holder: dict[str, Any] | None, words: str
) -> None:
    held_by = None if holder is None else Holder(**{**HOLDER, **holder})
    assert words in why(a_port(**port), held_by)


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
