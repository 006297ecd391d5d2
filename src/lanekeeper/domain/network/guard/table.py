"""The tables and registers that guards use, and how a packet goes from one to the next.

    0    what comes from a guarded port → SOURCE; what is for one → LOCAL; all else as it was
    SOURCE            says who it is, truly?            else dropped
    SENT              rules without state, else → conntrack
    SENT_TRACKED      answers, rules                    else dropped
    SENT_PASSED       noted as allowed
    OUT               for a guarded port of this bridge → LOCAL; else back to 0, once
    LOCAL             which ports it is for
    RECEIVED          neighbours, DHCP; else by rules
    RECEIVED_OPEN     rules without state, else → conntrack
    RECEIVED_TRACKED  answers, rules                    else dropped
    RECEIVED_PASSED   noted as allowed, given to the guest

A frame has no VLAN tag from SOURCE to RECEIVED_PASSED: ``VLAN`` says in which it is.
"""

from __future__ import annotations

SOURCE, SENT, SENT_TRACKED, SENT_PASSED, OUT = 210, 211, 212, 213, 214
LOCAL, RECEIVED, RECEIVED_OPEN, RECEIVED_TRACKED, RECEIVED_PASSED = 215, 216, 217, 218, 219

PORT, VLAN, ZONE, DONE = "NXM_NX_REG6[]", "NXM_NX_REG7[]", "NXM_NX_REG8[]", "NXM_NX_REG10[]"
ZONE_OF = "zone=NXM_NX_REG8[0..15]"

UNTAGGED = "vlan_tci=0x0000/0x1fff"
GROUP = "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00"
"""Frames for more than one station, broadcast among them."""
ALLOWED, REFUSED = 0, 1
"""Marks of connections."""


def port(number: int) -> str:
    """Match what concerns the guarded port *number*."""
    return f"reg6={number}"


def vlan(number: int) -> str:
    """Match what is in a VLAN."""
    return f"reg7={number}"


def load(value: int, register: str) -> str:
    return f"load:{value:#x}->{register}"


def go(table: int) -> str:
    return f"resubmit(,{table})"


def noted(mark: int) -> str:
    """Note in conntrack what was decided of a connection."""
    return f"ct(commit,{ZONE_OF},exec(set_field:{mark}->ct_mark))"
