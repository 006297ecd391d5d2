"""What a filter is made of, and what it says of a host that it turns away.

A filter has two faces. ``why`` takes a request and a host and gives a verdict, or None to let the
host pass. The other says the same of all hosts at once: ``mask`` from columns of the fleet, or,
where no column tells, ``alike``, a column of codes such that ``why`` answers hosts of one code
alike. Both hold no state and read no clock, so a decision can be replayed from its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lanekeeper.domain.scheduling.fleet import Flags, Fleet, Numbers
from lanekeeper.domain.scheduling.host import HostView, ServerRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a host was turned away.

    Attributes:
        code: the filter's name; stable.
        reason: what is so, about the host.
        facts: the numbers and names that led to it.
        remedy: what would help.
    """

    code: str
    reason: str
    remedy: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filter:
    """One row of ``FILTERS``.

    Attributes:
        why: None lets the host pass; its verdicts have the name of this function for their code.
        mask: which hosts pass; None where only ``why`` can tell.
        alike: hosts of one code have one verdict, but for what names them; None where ``mask`` is.
    """

    why: Callable[[ServerRequest, HostView], Verdict | None]
    mask: Callable[[ServerRequest, Fleet], Flags] | None = None
    alike: Callable[[Fleet], Numbers] | None = None

    @property
    def code(self) -> str:
        return self.why.__name__
