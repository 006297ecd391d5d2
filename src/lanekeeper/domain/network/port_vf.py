"""What a host tells of the VF of a port: what it is set to, and what was mended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lanekeeper.domain.pci.vf_settings import VfSettings

_NOTED_EVERY = timedelta(hours=1)
"""Something that keeps changing a VF, and is mended each time, is no news each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """Settings that something else had changed, and that the host has written again.

    Attributes:
        at: by the host's clock.
        lost: names of settings, as of ``VfChange``.
        was: what the VF was found set to.
    """

    at: datetime
    lost: tuple[str, ...]
    was: VfSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PortVf:
    """What is known of a port's VF.

    Attributes:
        host_id: who told it.
        address: of the VF.
        found: None while its guest does not run, or the host cannot read it.
        unknown: settings that its driver does not know, as of ``VfChange``.
        mended: the last time; it stays when the guest ends.
        since: when all but the mend was first told as it is.
        noted_at: when a mend, or that its link is held down, was last an event of the server.
        held_down: why its host keeps its link down, since nothing passes at its uplink; empty
            where it does not, and while the host tells nothing of it.
    """

    port_id: str
    host_id: str
    address: str
    found: VfSettings | None
    unknown: tuple[str, ...] = ()
    mended: Mend | None = None
    since: datetime
    noted_at: datetime | None = None
    held_down: str = ""

    def follows(self, before: PortVf | None) -> PortVf:
        """What to know now that this was told after *before*; that itself if nothing is new."""
        if before is None:
            return self
        same = replace(self, since=before.since, mended=before.mended, noted_at=before.noted_at)
        after = replace(
            before if same == before else self,
            mended=self.mended or before.mended,
            noted_at=before.noted_at,
        )
        return before if after == before else after

    def mends_again(self, before: PortVf | None) -> bool:
        """Whether this tells of a mend that *before* does not."""
        return self.mended is not None and (before is None or self.mended != before.mended)

    def is_to_be_noted(self, now: datetime) -> bool:
        return self.noted_at is None or now - self.noted_at >= _NOTED_EVERY

    def ended(self, now: datetime) -> PortVf:
        """What to know when its host tells of the VF no more."""
        if self.found is None and not self.held_down:
            return self
        return replace(self, found=None, held_down="", since=now)
