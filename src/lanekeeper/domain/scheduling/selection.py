"""Choosing hosts. Every host is either chosen or told why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lanekeeper.domain.errors import clause
from lanekeeper.domain.scheduling.filter import FILTERS, Filter, Verdict
from lanekeeper.domain.scheduling.fit import Given, Shortfall, fit_devices
from lanekeeper.domain.scheduling.host import HostView, ServerRequest
from lanekeeper.domain.scheduling.weight import by_weight

NO_HOST = "No valid host was found. There are not enough hosts available."
"""What Nova says, and clients look for."""

_HOSTS_NAMED = 3
_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Rejection:
    """One host that was turned away; *host* is empty for those who may not know hosts."""

    host: str
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.host} {self.verdict.reason}".strip()


@dataclass(frozen=True, slots=True)
class Choice:
    """A host that fits, and the devices that the server would get there."""

    host: HostView
    given: tuple[Given, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Hosts that fit, the best first, and one rejection for each that does not, by name."""

    choices: tuple[Choice, ...]
    rejections: tuple[Rejection, ...]

    def explain(self) -> str:
        """Say why no host is left, to somebody who may know the hosts."""
        return explain_rejections(self.rejections)


def explain_rejections(rejections: Sequence[Rejection]) -> str:
    """Say why no host is left: which constraint removed how many, and what would help."""
    if not rejections:
        return f"{NO_HOST} There is no host at all: enrol one (lanekeeper agent enroll)."
    counts = Counter(rejection.verdict.code for rejection in rejections)
    sentences = [_sentence(rejections, code, number) for code, number in counts.most_common()]
    return " ".join((NO_HOST, *sentences))


def _sentence(rejections: Sequence[Rejection], code: str, number: int) -> str:
    mine = [one for one in rejections if one.verdict.code == code]
    said = Counter(clause(str(one)[:_REASON_LENGTH]) for one in mine)
    named = "; ".join(
        f"{text} ({times} hosts)" if times > 1 else text
        for text, times in said.most_common(_HOSTS_NAMED)
    )
    more = f"; and {len(said) - _HOSTS_NAMED} more" if len(said) > _HOSTS_NAMED else ""
    remedy = Counter(one.verdict.remedy for one in mine).most_common(1)[0][0]
    return (
        f"{code} turned away {number} of {len(rejections)}: {named}{more}. "
        f"What would help: {clause(remedy)}."
    )


def select_hosts(
    request: ServerRequest, hosts: Iterable[HostView], filters: Sequence[Filter] = FILTERS
) -> Selection:
    """Split *hosts* into those that pass every filter and those that fail one."""
    fitting: list[HostView] = []
    rejections: list[Rejection] = []
    for host in hosts:
        verdict = first_verdict(request, host, filters)
        if verdict is None:
            fitting.append(host)
        else:
            rejections.append(Rejection(host.name, verdict))
    choices = tuple(_choice(request, host) for host in by_weight(request, fitting))
    return Selection(choices, tuple(sorted(rejections, key=lambda one: one.host)))


def first_verdict(
    request: ServerRequest, host: HostView, filters: Sequence[Filter] = FILTERS
) -> Verdict | None:
    """What turns *host* away first; None when nothing does."""
    return next((found for check in filters if (found := check(request, host))), None)


def _choice(request: ServerRequest, host: HostView) -> Choice:
    given = fit_devices(request.needs, host.devices)
    assert not isinstance(given, Shortfall), "the devices filter let the host pass"
    return Choice(host, given)
