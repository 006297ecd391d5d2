"""MACs of simulated machines: each host has its own, although all are one captured machine.

On a network no two ports have one MAC, and a port that is a whole card has the card's.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

_BYTES = 6
_LOCAL, _GROUP = 0x02, 0x01  # of the first byte; IEEE 802: locally administered, group address


def own_mac(host_name: str, captured: str) -> str:
    """The MAC that *host_name* has where its captured machine has *captured*; ever the same.

    One of zeros, as the loopback interface has it, stays. Of an address longer than a MAC
    (InfiniBand) the last bytes are the host's own.
    """
    before = bytes.fromhex(captured.replace(":", ""))
    if len(before) < _BYTES or not any(before):
        return captured
    own = bytearray(sha256(f"{host_name} {before.hex()}".encode()).digest()[:_BYTES])
    if len(before) == _BYTES:
        own[0] = own[0] & ~_GROUP | _LOCAL
    return (before[:-_BYTES] + own).hex(":")


def own_macs(root: Path, host_name: str) -> None:
    """Have the machine planted at *root*, as it was captured, be *host_name*; not twice."""
    inside = root.resolve()
    # An interface is also found by links; one that leads nowhere, or out, is nobody's here.
    found = {path.resolve() for path in (root / "sys").rglob("net/*/address") if path.is_file()}
    for path in (one for one in found if one.is_relative_to(inside)):
        text = path.read_text("ascii", "replace").strip()
        if _is_mac(text):
            path.write_text(f"{own_mac(host_name, text)}\n")


def _is_mac(text: str) -> bool:
    try:
        return len(bytes.fromhex(text.replace(":", " "))) >= _BYTES
    except ValueError:
        return False
