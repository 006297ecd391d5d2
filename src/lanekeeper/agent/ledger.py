"""What became of the agent's tasks: one record for each, kept as long as its order stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from lanekeeper.agent.task import Identity, Kind, Task
from lanekeeper.clock import Stopwatch
from lanekeeper.domain.errors import Error, Invalid, Unavailable
from lanekeeper.protocol import CleaningState

TRIES_MAX = 4
FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_OVERDUE_TIMES = 2
"""How many times its limit a task takes before it is told: it may be at the end of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One task and its last result.

    Attributes:
        busy: a worker has it in hand, or is to have it next.
        begun_s: on the stopwatch, when a worker began; None before and after.
        problem: of the last failure.
        next_s: on the stopwatch, when to try again.
        given_up: nothing will be tried for this order.
        cleaned: what a cleaning came to, for good or ill.
    """

    task: Task
    busy: bool = False
    begun_s: float | None = None
    failures: int = 0
    problem: str = ""
    next_s: float = 0.0
    given_up: bool = False
    cleaned: CleaningState | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to try for this order."""
        return self.given_up or self.cleaned is not None


class Ledger:
    """Records by the identity of their tasks. Thread-safe.

    Losing it costs a repetition: everything else is read from the host.
    """

    def __init__(self, stopwatch: Stopwatch, first_wait_s: float = FIRST_WAIT_S) -> None:
        self._stopwatch = stopwatch
        self._first_wait_s = first_wait_s
        self._lock = Lock()
        self._records: dict[Identity, Record] = {}

    def get(self, identity: Identity) -> Record | None:
        with self._lock:
            return self._records.get(identity)

    def busy(self) -> tuple[Task, ...]:
        """Name the tasks that are in hand."""
        with self._lock:
            return tuple(record.task for record in self._records.values() if record.busy)

    def cleaned(self) -> dict[str, CleaningState]:
        """Return what cleanings came to, by the device's id."""
        with self._lock:
            done = [one.cleaned for one in self._records.values() if one.cleaned is not None]
        return {state.device_id: state for state in done}

    def problems(self, kind: Kind, *, tries: int = 1) -> list[str]:
        """Say what last failed of the tasks of one *kind* that are still tried, a sentence each.

        Those count that have failed *tries* times.
        """
        with self._lock:
            records = [one for one in self._records.values() if one.failures >= tries]
        return sorted(
            f"{one.task.subject}: {one.problem}"
            for one in records
            if one.task.identity.kind == kind and not one.is_over
        )

    def overdue(self, limits: Mapping[Kind, float]) -> list[str]:
        """Say of each task that takes far longer than its kind's limit, in seconds, that it does.

        Each sentence stays the same while it is so: whoever is told is told once.
        """
        with self._lock:
            begun = [(one.task, one.begun_s) for one in self._records.values()]
        now_s, told = self._stopwatch(), []
        for task, begun_s in begun:
            most_s = _OVERDUE_TIMES * limits[task.identity.kind]
            if begun_s is not None and now_s - begun_s > most_s:
                about = f"{task.subject} ({task.device})" if task.device else task.subject
                told.append(
                    f"{about}: '{task.event}' takes longer than {most_s:g} s and holds a worker of "
                    "the agent; the kernel's log may say what it waits for"
                )
        return sorted(told)

    def take(self, tasks: Sequence[Task], taken: Sequence[Task]) -> list[Task]:
        """Put in hand, in their order, the *tasks* that may be tried now.

        A task waits while another one that touches the same is in hand. Those of *taken* count
        as such: they were when the host was looked at, so what the tasks build on may be old.
        """
        with self._lock:
            in_hand = [one.task for one in self._records.values() if one.busy]
            touched = frozenset[str]().union(*(one.touches for one in (*in_hand, *taken)))
            now_s, begun = self._stopwatch(), []
            for task in tasks:
                last = self._records.get(task.identity, Record(task=task))
                if last.is_over or last.next_s > now_s or task.touches & touched:
                    continue
                touched |= task.touches
                self._records[task.identity] = replace(last, task=task, busy=True)
                begun.append(task)
            return begun

    def began(self, task: Task) -> None:
        """Note that a worker begins with *task*, which is in hand."""
        with self._lock:
            last = self._records[task.identity]
            self._records[task.identity] = replace(last, begun_s=self._stopwatch())

    def dropped(self, task: Task) -> None:
        """Note that *task* was not tried after all."""
        with self._lock:
            last = self._records.pop(task.identity)
            if last.failures:
                self._records[task.identity] = replace(last, busy=False)

    def succeeded(self, task: Task, cleaned: CleaningState | None = None) -> None:
        """Note that *task* is done; what a cleaning came to is kept while it is asked for."""
        with self._lock:
            if cleaned is not None:
                self._records[task.identity] = Record(task=task, cleaned=cleaned)
            else:
                self._records.pop(task.identity, None)

    def failed(self, task: Task, error: Error, cleaned: CleaningState | None = None) -> None:
        """Note a failure; *cleaned* is what a cleaning comes to, should it be given up now.

        What is invalid is given up at once; what waits for another machine never is, nor what is
        endless.
        """
        with self._lock:
            before = self._records.get(task.identity, Record(task=task)).failures
            problem = problem_of(error)
            hopeless = isinstance(error, Invalid) or before + 1 >= TRIES_MAX
            given_up = hopeless and not task.endless and not isinstance(error, Unavailable)
            self._records[task.identity] = Record(
                task=task,
                failures=before + 1,
                problem=problem,
                next_s=self._stopwatch() + min(self._first_wait_s * 2**before, _LONGEST_WAIT_S),
                given_up=given_up,
                cleaned=cleaned if given_up else None,
            )

    def keep(self, standing: frozenset[Identity]) -> None:
        """Forget all that serves no *standing* order and is not in hand."""
        with self._lock:
            self._records = {
                identity: record
                for identity, record in self._records.items()
                if record.busy or identity in standing
            }

    def wait_s(self) -> float | None:
        """Seconds until the next task may be tried again; None when there is none.

        What waits for a task in hand does not count: the end of that one wakes the agent anyway.
        """
        with self._lock:
            records = list(self._records.values())
        touched = frozenset[str]().union(*(one.task.touches for one in records if one.busy))
        times = [
            one.next_s
            for one in records
            if not one.is_over and not one.busy and not one.task.touches & touched
        ]
        return max(0.0, min(times) - self._stopwatch()) if times else None


def problem_of(error: Error) -> str:
    """Return what reports say of *error*: the sentence and what would help."""
    return f"{error} ({error.hint})" if error.hint else str(error)
