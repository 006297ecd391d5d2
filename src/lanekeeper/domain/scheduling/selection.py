"""Choosing hosts. Every host is either fit or told why not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lanekeeper.domain.errors import clause
from lanekeeper.domain.scheduling.filter import FILTERS, PLACING, forced_host
from lanekeeper.domain.scheduling.fit import Given
from lanekeeper.domain.scheduling.fleet import Flags, Fleet
from lanekeeper.domain.scheduling.host import HostView, ServerRequest
from lanekeeper.domain.scheduling.multiplier import Multipliers
from lanekeeper.domain.scheduling.place import place
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.scheduling.verdict import Filter, Verdict
from lanekeeper.domain.scheduling.weight import by_weight
from lanekeeper.domain.topology.fit import Seat

NO_HOST = "No valid host was found. There are not enough hosts available."
"""What Nova says, and clients look for."""

_AS_NOVA = Multipliers()
_HOSTS_NAMED = 3
_REASONS_SAID = 3
_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Rejection:
    """Hosts that were turned away for one reason.

    Attributes:
        hosts: the first few, by name; empty for those who may not know hosts.
        count: how many they are.
    """

    verdict: Verdict
    hosts: tuple[str, ...]
    count: int = 1

    def __str__(self) -> str:
        reason = self.verdict.reason[:_REASON_LENGTH]
        if self.count == 1 and self.hosts:
            return f"{self.hosts[0]} {reason}"
        return f"{reason} ({self._whom()})"

    @property
    def alone(self) -> str:
        """The same where no other reason stands beside it, and the count before it."""
        reason = self.verdict.reason[:_REASON_LENGTH]
        return str(self) if self.hosts or self.count > 1 else reason

    def _whom(self) -> str:
        if len(self.hosts) == self.count:
            return ", ".join(self.hosts)
        if self.hosts:
            return f"{', '.join(self.hosts)} and {self.count - len(self.hosts)} more"
        return "1 host" if self.count == 1 else f"{self.count} hosts"


@dataclass(frozen=True, slots=True)
class Choice:
    """A host that fits, and the devices and the seats that the server would get there."""

    host: HostView
    given: tuple[Given, ...]
    seats: tuple[Seat, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """What became of every host.

    Attributes:
        choices: hosts that fit, the best first; no more than were asked for.
        fitting: how many fit, of those that were asked; with *rejections* all hosts.
        rejections: by filter, in the order of asking, the most frequent reason first. Empty where
            the choices alone were asked for and there are some.
    """

    choices: tuple[Choice, ...]
    fitting: int
    rejections: tuple[Rejection, ...]

    def explain(self) -> str:
        """Say why no host is left, to somebody who may know the hosts."""
        return explain_rejections(self.rejections)


def explain_rejections(rejections: Sequence[Rejection]) -> str:
    """Say why no host is left: which constraint removed how many, and what would help."""
    if not rejections:
        return f"{NO_HOST} There is no host at all: enrol one (lanekeeper agent enroll)."
    by_code: dict[str, list[Rejection]] = defaultdict(list)
    for one in rejections:
        by_code[one.verdict.code].append(one)
    total = sum(one.count for one in rejections)
    most_first = sorted(by_code.values(), key=lambda mine: (_is_other(mine[0]), -_hosts(mine)))
    return " ".join((NO_HOST, *(_sentence(mine, total) for mine in most_first)))


def cause_first(rejections: Sequence[Rejection]) -> list[Rejection]:
    """The same, those last that only say that another host was asked for."""
    return sorted(rejections, key=_is_other)


def _is_other(rejection: Rejection) -> bool:
    return rejection.verdict.code == forced_host.__name__


def _hosts(rejections: Sequence[Rejection]) -> int:
    return sum(one.count for one in rejections)


def _sentence(rejections: Sequence[Rejection], total: int) -> str:
    most_first = sorted(rejections, key=lambda one: -one.count)
    told = [one.alone if len(most_first) == 1 else str(one) for one in most_first[:_REASONS_SAID]]
    said = "; ".join(map(clause, told))
    more = _hosts(most_first[_REASONS_SAID:])
    remedies = Counter[str]()
    for one in rejections:
        remedies[one.verdict.remedy] += one.count
    (remedy, _), *_ = remedies.most_common(1)
    return (
        f"{rejections[0].verdict.code} turned away {_hosts(rejections)} of {total}: "
        f"{said}{f'; and {more} more' if more else ''}. What would help: {clause(remedy)}."
    )


def select_hosts(
    request: ServerRequest,
    fleet: Fleet,
    filters: Sequence[Filter] = FILTERS,
    *,
    multipliers: Multipliers = _AS_NOVA,
    choices: int = 1,
    whole: bool = False,
) -> Selection:
    """Find the best hosts for a server, and where there is none say of every host why.

    Args:
        request: what the server asks of its host.
        fleet: all hosts.
        filters: what each has to pass.
        multipliers: how much each weigher counts among those that fit.
        choices: how many of those that fit are wanted at most.
        whole: ask every host, although there are enough that fit.
    """
    funnel = _Funnel(request, fleet, multipliers)
    quick = [one for one in filters if one.mask is not None]
    slow = [one for one in filters if one.mask is None]
    for each in quick:
        funnel.put_through(each)
    found = list(funnel.best(slow, choices))
    if found and not whole:
        return Selection(tuple(found), len(found), ())
    for each in slow:
        funnel.put_through(each)
    fitting = int(np.count_nonzero(funnel.among))
    return Selection(tuple(found), fitting, tuple(funnel.rejections(filters)))


class _Funnel:
    """Hosts on their way through the filters."""

    def __init__(self, request: ServerRequest, fleet: Fleet, multipliers: Multipliers) -> None:
        self.request = request
        self.multipliers = multipliers
        self.fleet = fleet
        self.among: Flags = np.ones(len(fleet), np.bool_)
        self._turned_away: dict[str, Flags] = {}
        self._verdicts: dict[tuple[str, int], Verdict | None] = {}
        self._short: dict[int, Verdict] = {}

    def put_through(self, each: Filter) -> None:
        passed = self._passed(each)
        self._turned_away[each.code] = self.among & ~passed
        self.among = self.among & passed

    def _passed(self, each: Filter) -> Flags:
        if each.mask is not None:
            return each.mask(self.request, self.fleet)
        passed = self.among.copy()
        for row in np.flatnonzero(self.among).tolist():
            passed[row] = self._verdict(each, row) is None
        return passed

    def best(self, filters: Sequence[Filter], choices: int) -> Iterator[Choice]:
        """Yield those of the best hosts left that pass *filters*, too."""
        if choices <= 0:
            return
        left = np.flatnonzero(self.among)
        for row in by_weight(self.request, self.fleet, left, self.multipliers).tolist():
            if any(self._verdict(each, row) is not None for each in filters):
                continue
            found = choose_on(self.request, self.fleet.views[row])
            if isinstance(found, Shortfall):
                # The verdict on hosts of its shape does not hold for this one.
                verdict = first_verdict(self.request, self.fleet.views[row], PLACING)
                assert verdict is not None, "what places a server and the filters disagree"
                self._short[row] = verdict
                self.among[row] = False
                continue
            yield found
            choices -= 1
            if not choices:
                return

    def _verdict(self, each: Filter, row: int) -> Verdict | None:
        view = self.fleet.views[row]
        if each.alike is None:
            return each.why(self.request, view)
        key = (each.code, int(each.alike(self.fleet)[row]))
        if key not in self._verdicts:
            self._verdicts[key] = each.why(self.request, view)
        return self._verdicts[key]

    def rejections(self, filters: Sequence[Filter]) -> Iterator[Rejection]:
        for each in filters:
            rows = np.flatnonzero(self._turned_away[each.code]).tolist()
            yield from self._grouped({row: self._said(each, row) for row in rows})
        yield from self._grouped(self._short)

    def _said(self, each: Filter, row: int) -> Verdict:
        verdict = self._verdict(each, row)
        assert verdict is not None, f"the two faces of {each.code} disagree"
        return verdict

    def _grouped(self, verdicts: Mapping[int, Verdict]) -> Iterator[Rejection]:
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row, verdict in verdicts.items():
            groups[verdict.reason, verdict.remedy].append(row)
        for rows in sorted(groups.values(), key=len, reverse=True):
            names = tuple(self.fleet.views[row].name for row in rows[:_HOSTS_NAMED])
            yield Rejection(verdicts[rows[0]], names, len(rows))


def first_verdict(
    request: ServerRequest, host: HostView, filters: Sequence[Filter] = FILTERS
) -> Verdict | None:
    """What turns *host* away first; None when nothing does."""
    return next((found for each in filters if (found := each.why(request, host))), None)


def choose_on(request: ServerRequest, host: HostView) -> Choice | Shortfall:
    """What a server would get on a host that no filter turns away, or why it gets nothing."""
    found = place(request, host)
    return found if isinstance(found, Shortfall) else Choice(host, found.given, found.seats)
