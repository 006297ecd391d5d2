"""The agent: observe and report; take orders, plan, apply; again and again.

One thread polls for orders, the loop's own observes, plans and reports, and a few workers carry
actions out. Nothing but the memory of failures lives in the process, so it may be killed anywhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock, Thread

import msgspec
import structlog

from lanekeeper.agent.apply import apply, describe, key_of, order_of, touches
from lanekeeper.agent.attempts import FIRST_WAIT_S, Attempt, Attempts
from lanekeeper.agent.cleaning import Cleaner, CleaningFailed
from lanekeeper.agent.guests import Workshop
from lanekeeper.agent.observe import Policy, View
from lanekeeper.agent.orders import Orders, mark_of
from lanekeeper.agent.plan import Action, ApplyVfSettings, CleanDevice, DestroyGuest, plan
from lanekeeper.agent.report import report
from lanekeeper.agent.reporter import Reporter
from lanekeeper.agent.senses import Memory, Senses
from lanekeeper.clock import Stopwatch
from lanekeeper.domain.errors import Error, HostFault
from lanekeeper.protocol import CleaningState, Desired

LOOK_EVERY_S = 10.0
_CONSOLE_EVERY_S = 1.0
_POLL_AGAIN_S = 0.5
_POLL_AGAIN_MAX_S = 30.0
_WORKERS = 4

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an agent is put together from (``agent/compose.py``)."""

    host_name: str
    orders: Orders
    reporter: Reporter
    senses: Senses
    shop: Workshop
    cleaner: Cleaner
    stopwatch: Stopwatch
    look_every_s: float = LOOK_EVERY_S
    retry_first_s: float = FIRST_WAIT_S


class Agent:
    """One host's agent. ``run`` works until ``stop``, which any thread may call."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._log = log.bind(host=parts.host_name)
        self._attempts = Attempts(parts.stopwatch, parts.retry_first_s)
        self._memory = Memory()
        self._workers = ThreadPoolExecutor(_WORKERS, f"apply-{parts.host_name}")
        self._lock = Lock()
        self._busy: dict[str, frozenset[str]] = {}
        self._view: View | None = None
        self._look_at = 0.0
        self._wake = Event()
        self._stopping = Event()

    def stop(self) -> None:
        """End ``run`` soon; what is under way is finished, and guests run on."""
        self._stopping.set()
        self._wake.set()

    def check(self, policy: Policy) -> None:
        """Hold *policy* against this host. Raises Invalid, HostFault: it could not be obeyed."""
        self._parts.senses.check(policy)

    def obey(self, policy: Policy) -> None:
        """Look at the host with *policy* from now on; any thread may call this."""
        self._parts.senses.obey(policy)
        self._look_at = 0.0
        self._wake.set()

    def run(self) -> None:
        """Work until told to stop. The thread that polls may outlive this by one poll."""
        poller = Thread(target=self._poll, name=f"poll-{self._parts.host_name}", daemon=True)
        poller.start()
        self._log.info("agent start")
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._wake.wait(self._step())
        finally:
            self._workers.shutdown(wait=True, cancel_futures=True)
            self._log.info("agent stop")

    def _step(self) -> float:
        """Do one round; returns the seconds after which to come back, if nothing wakes it."""
        is_due = self._parts.stopwatch() >= self._look_at
        try:
            if is_due or self._view is None:
                self._look()
            self._round(self._parts.orders.current(), settings=is_due)
        except (Error, OSError) as error:
            self._log.error("round", outcome="failed", error=str(error))
        except Exception:  # a bug must not end the agent: it is tried again, and seen in the log
            self._log.exception("round", outcome="failed")
        return self._next_s()

    def _look(self) -> None:
        self._look_at = self._parts.stopwatch() + self._parts.look_every_s
        self._view = self._parts.senses.view()
        facts = self._parts.senses.facts(self._parts.host_name, self._view)
        self._parts.reporter.tell_facts(facts)
        self._parts.reporter.tell_health(self._parts.senses.health(self._view))

    def _round(self, desired: Desired | None, *, settings: bool) -> None:
        with self._lock:
            busy = dict(self._busy)  # before observing: what ends meanwhile is looked at again
        observed = self._parts.senses.observe(desired, self._memory, settings=settings)
        actions = plan(desired, observed) if desired else ()
        keys = frozenset(key_of(action) for action in actions) | busy.keys()
        self._attempts.keep(keys)
        state = report(
            desired,
            observed,
            attempts=dict(self._failed(actions)),
            cleaned=self._memory.cleaned(),
            busy=frozenset(busy),
            before=self._parts.reporter.state,
            memos=self._parts.orders.memos(),
        )
        obeyed = self._obeyed(desired, actions, is_busy=bool(busy))
        self._parts.reporter.tell_state(msgspec.structs.replace(state, obeyed=obeyed))
        if desired is not None:
            wanted = frozenset(one.device.device_id for one in desired.cleaning)
            self._memory.keep_cleaned(wanted | busy.keys())
            self._submit(actions, busy)
            self._parts.reporter.tell_consoles(desired.consoles)

    def _failed(self, actions: Sequence[Action]) -> Iterator[tuple[str, Attempt]]:
        """What failed of these very orders: of one that is new nothing is known yet."""
        for action in actions:
            last = self._attempts.get(key_of(action))
            if last is not None and last.order == order_of(action):
                yield key_of(action), last

    def _obeyed(self, desired: Desired | None, actions: Sequence[Action], *, is_busy: bool) -> str:
        """Name the state that is worked through: all done, or given up."""
        if desired is None or is_busy or not all(map(self._is_given_up, actions)):
            return self._parts.reporter.state.obeyed
        return mark_of(desired)

    def _is_given_up(self, action: Action) -> bool:
        last = self._attempts.get(key_of(action))
        return last is not None and last.given_up and last.order == order_of(action)

    def _submit(self, actions: Sequence[Action], busy: dict[str, frozenset[str]]) -> None:
        """Hand over what may be tried now and touches nothing that another action has in hand."""
        taken = frozenset[str]().union(*busy.values())
        for action in actions:
            key, needs = key_of(action), touches(action)
            if needs & taken or not self._attempts.is_due(key, order_of(action)):
                continue
            taken |= needs
            with self._lock:
                self._busy[key] = needs
            self._workers.submit(self._work, action)

    def _work(self, action: Action) -> None:
        if self._parts.orders.current() is None:  # frozen while the action waited for a worker
            self._finished(action)
            return
        started = self._parts.stopwatch()
        error: Error | None = None
        try:
            self._carry_out(action)
        except Error as failure:
            error = failure
        except OSError as failure:  # the disk is full, a file cannot be written
            error = HostFault(f"{failure.strerror}: {failure.filename}")
        except Exception:  # a bug in one action must not stop the others, nor be tried for ever
            self._log.exception(**describe(action))
            error = HostFault("internal error of the agent; its log has the traceback")
        finally:
            if error is not None:
                self._note_failure(action, error)
            self._tell(action, self._parts.stopwatch() - started, error)
            self._finished(action)

    def _finished(self, action: Action) -> None:
        with self._lock:
            self._busy.pop(key_of(action), None)
        self._wake.set()

    def _carry_out(self, action: Action) -> None:
        assert self._view is not None  # there is no plan without a look
        outcome = apply(action, self._parts.shop, self._parts.cleaner, self._view)
        self._memory.add_unsupported(dict(outcome.unsupported))
        if outcome.cleaned is not None:
            self._memory.add_cleaned(outcome.cleaned)
        self._attempts.succeeded(key_of(action))

    def _note_failure(self, action: Action, error: Error) -> None:
        endless = isinstance(action, DestroyGuest | ApplyVfSettings)
        key = key_of(action)
        attempt = self._attempts.failed(key, order_of(action), error, endless=endless)
        if isinstance(action, CleanDevice) and attempt.given_up:
            steps = error.steps if isinstance(error, CleaningFailed) else []
            self._memory.add_cleaned(
                CleaningState(
                    device_id=key,
                    round=action.wanted.round,
                    clean=False,
                    steps=steps,
                    problem=attempt.problem,
                )
            )

    def _tell(self, action: Action, seconds: float, error: Error | None) -> None:
        duration_ms = round(seconds * 1000)
        if error is None:
            self._log.info(**describe(action), duration_ms=duration_ms, outcome="done")
        else:
            self._log.warning(
                **describe(action), duration_ms=duration_ms, outcome="failed", error=str(error)
            )

    def _next_s(self) -> float:
        waits = [self._look_at - self._parts.stopwatch()]
        retry_s = self._attempts.wait_s()
        if retry_s is not None:
            waits.append(retry_s)
        desired = self._parts.orders.current()
        if desired is not None and desired.consoles:
            waits.append(_CONSOLE_EVERY_S)
        return max(0.05, min(waits))

    def _poll(self) -> None:
        """Ask for orders until told to stop; ask less often while there is no good answer."""
        failures, complaint, was_frozen = 0, "", False
        while not self._stopping.is_set():
            asked_at = self._parts.stopwatch()
            try:
                has_changed = self._parts.orders.poll()
            except (Error, OSError) as error:
                if self._stopping.is_set():
                    return
                failures += 1
                if self._parts.orders.frozen and not was_frozen:
                    self._parts.reporter.forget()  # it is to hear all that is here
                was_frozen = self._parts.orders.frozen
                if str(error) != complaint:
                    complaint = str(error)
                    self._log.warning("orders poll", outcome="failed", error=complaint)
                self._wake.set()
                wait_s = min(_POLL_AGAIN_S * 2 ** min(failures, 10), _POLL_AGAIN_MAX_S)
                self._stopping.wait(wait_s * random.uniform(0.5, 1.0))  # noqa: S311  # spreads load
                continue
            if failures:
                self._parts.reporter.forget()
            failures, complaint, was_frozen = 0, "", False
            if has_changed:
                self._wake.set()
            elif self._parts.stopwatch() - asked_at < _POLL_AGAIN_S:
                self._stopping.wait(_POLL_AGAIN_S)  # parked polls do not come back at once
