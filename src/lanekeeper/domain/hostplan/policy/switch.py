"""What a policy wants of Open vSwitch."""

from __future__ import annotations

from dataclasses import dataclass

from lanekeeper.domain.hostplan.policy.problems import Problems
from lanekeeper.domain.hostplan.policy.reading import read_count, read_flag

FIELDS = ("hw_offload", "max_idle_ms")
MAX_IDLE_MS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SwitchPolicy:
    """Settings of Open vSwitch as a whole; None leaves one.

    Attributes:
        max_idle_ms: how long a flow that nobody uses stays, in milliseconds.

    Source: ovs-vswitchd.conf.db(5), ``other_config`` of the table Open_vSwitch.
    """

    hw_offload: bool | None = None
    max_idle_ms: int | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The settings as ``other_config`` spells them."""
        given = {
            "hw-offload": None if self.hw_offload is None else str(self.hw_offload).lower(),
            "max-idle": None if self.max_idle_ms is None else str(self.max_idle_ms),
        }
        return {key: value for key, value in given.items() if value is not None}


def read_switch(value: object, path: str) -> SwitchPolicy:
    """Read ``ovs``. Raises PolicyInvalid."""
    with Problems() as problems:
        given = problems.mapping(value, path, FIELDS)
        offload, idle = given.get("hw_offload"), given.get("max_idle_ms")
        if offload is not None:
            offload = problems.read(read_flag, offload, f"{path}.hw_offload")
        if idle is not None:
            idle = problems.read(read_count, idle, f"{path}.max_idle_ms", MAX_IDLE_MS)
        return SwitchPolicy(hw_offload=offload, max_idle_ms=idle)
