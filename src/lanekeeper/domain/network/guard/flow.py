"""Flows of OpenFlow, as ovs-ofctl takes them.

A flow's cookie is made of all that it says. So what is there can be compared with what is wanted by
cookies alone, however a switch spells a flow when it is asked; and flows of anybody else are told
apart by the cookie's first bytes.

Source: ovs-fields(7), ovs-actions(7), ovs-ofctl(8).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

MARK = 0x4C4B << 48
"""What the cookie of each of our flows begins with; the rest is a digest."""
MASK = 0xFFFF << 48


@dataclass(frozen=True)
class Flow:
    """One flow; *match* as ``name=value`` or a bare name, *actions* one each.

    Of flows in one table with one priority no two have the same match.
    """

    table: int
    priority: int
    match: tuple[str, ...]
    actions: tuple[str, ...]

    @cached_property
    def cookie(self) -> int:
        digest = hashlib.blake2b(self._said.encode(), digest_size=6).digest()
        return MARK | int.from_bytes(digest, "big")

    @property
    def text(self) -> str:
        """The flow as a line of a file that ``ovs-ofctl add-flows`` reads."""
        return f"cookie={self.cookie:#x},{self._said}"

    @property
    def _said(self) -> str:
        match = "".join(f",{one}" for one in self.match)
        actions = ",".join(self.actions) or "drop"
        return f"table={self.table},priority={self.priority}{match},actions={actions}"
