"""What is proposed to be done with a machine, and how it is to be held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lanekeeper.domain.hostplan.replaced import Identities
from lanekeeper.domain.hostplan.step import Step


@dataclass(frozen=True, slots=True)
class Hold:
    """A change that goes back unless it is confirmed.

    Attributes:
        seconds: to wait, from the last step on.
        watch: makes sure that somebody takes the change of that number back, whatever becomes
            of this process. Raises HostFault: nobody will, so nothing is to be changed.
    """

    seconds: float
    watch: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be done with the machine as it is now.

    Attributes:
        steps: none where nothing is to do, or something is refused.
        policy: the text that they were planned from.
        hold: None for a change that needs no confirmation.
        devices: what the functions are that the policy means, by address.
        has_news: whether these are to be kept in mind even where no step is to be done.
    """

    steps: Sequence[Step]
    policy: str = ""
    hold: Hold | None = None
    devices: Identities | None = None
    has_news: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.steps and not self.has_news
