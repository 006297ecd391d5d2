"""The agent: observe and report; take orders, plan, apply; again and again.

One thread polls for orders, the loop's own observes, plans and reports, and a few workers carry
actions out; others clean devices, and one takes images away, so that no guest waits for that.
Nothing but the memory of failures lives in the process, so it may be killed anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import msgspec
import structlog

from lanekeeper.agent.cleaning import Cleaner
from lanekeeper.agent.dhcp import DhcpThread, server_entries, services
from lanekeeper.agent.image_sweep import ImageSweep
from lanekeeper.agent.ledger import FIRST_WAIT_S, TRIES_MAX, Ledger
from lanekeeper.agent.observe import View
from lanekeeper.agent.orders import Orders, mark_of
from lanekeeper.agent.pairs import carrying
from lanekeeper.agent.plan import CleanDevice, Observed, plan
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.poller import Poller
from lanekeeper.agent.relay import Relayed, hanging, relayed
from lanekeeper.agent.report import report, troubles_of, vfs_told
from lanekeeper.agent.reporter import ListingRefused, Reporter
from lanekeeper.agent.senses import Senses
from lanekeeper.agent.shared_cards import SharedCards, entries
from lanekeeper.agent.task import Task, cleanings, task_of
from lanekeeper.agent.uplinks import Uplinks
from lanekeeper.agent.withdrawn import withdrawn
from lanekeeper.agent.worker import Worker
from lanekeeper.agent.workshop import Workshop
from lanekeeper.clock import Clock, Stopwatch, utc_now
from lanekeeper.domain.errors import Conflict, Error
from lanekeeper.hypervisor.driver import Inventory
from lanekeeper.protocol import Desired

LOOK_EVERY_S = 10.0
_CONSOLE_EVERY_S = 1.0
_WORKERS = 4
_CLEANERS = 4
_GUEST_LIMIT_S = 300.0
"""What may be done with a guest in this time, an image fetched for it, too."""

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
    sweep: ImageSweep
    shared: SharedCards
    dhcp: DhcpThread
    uplinks: Uplinks
    stopwatch: Stopwatch
    clock: Clock = utc_now
    look_every_s: float = LOOK_EVERY_S
    retry_first_s: float = FIRST_WAIT_S


class Agent:
    """One host's agent. ``run`` works until ``stop``, which any thread may call."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._log = log.bind(host=parts.host_name)
        self._ledger = Ledger(parts.stopwatch, parts.retry_first_s)
        self._workers = ThreadPoolExecutor(_WORKERS, f"apply-{parts.host_name}")
        self._cleaners = ThreadPoolExecutor(_CLEANERS, f"clean-{parts.host_name}")
        self._sweeper = ThreadPoolExecutor(1, f"sweep-{parts.host_name}")
        self._view: View | None = None
        self._look_at = 0.0
        self._wake = Event()
        self._stopping = Event()
        self._refused: Conflict | None = None
        self._card_problems: tuple[str, ...] = ()
        self._guard_problems: tuple[str, ...] = ()
        self._uplink_problems: tuple[str, ...] = ()
        self._worker = Worker(
            orders=parts.orders,
            ledger=self._ledger,
            shop=parts.shop,
            cleaner=parts.cleaner,
            vfs=parts.senses.vfs,
            stopwatch=parts.stopwatch,
            clock=parts.clock,
            log=self._log,
            view=self._seen,
            wake=self._wake.set,
        )

    def stop(self) -> None:
        """End ``run`` soon; what is under way is finished, and guests run on."""
        self._stopping.set()
        self._wake.set()

    def check(self, policy: Policy) -> None:
        """Hold *policy* against this host, and what the controller knows of it.

        Raises:
            Invalid, HostFault: it could not be obeyed here.
            Conflict: it gives away the other side of a card that a guest holds.
            Unavailable: the controller does not answer, so that nobody knows.
        """
        facts = self._parts.senses.facts_with(self._parts.host_name, policy)
        self._parts.reporter.try_facts(facts)

    def obey(self, policy: Policy) -> None:
        """Look at the host with *policy* from now on; any thread may call this."""
        self._parts.senses.obey(policy)
        self.look_soon()

    def look_soon(self) -> None:
        """Look at the host before it is time, and tell what is there; any thread may call this."""
        self._look_at = 0.0
        self._wake.set()

    def run(self) -> None:
        """Work until told to stop. The thread that polls may outlive this by one poll.

        Raises:
            Conflict: what the configuration lists cannot be, and no other configuration is known
                that held before (``check``); guests run on.
        """
        self._parts.uplinks.wake = self.look_soon  # ports say at once that they have no link
        Poller(
            self._parts.host_name,
            self._parts.orders,
            self._parts.reporter,
            self._parts.stopwatch,
            stopping=self._stopping,
            wake=self._wake.set,
        ).start()
        self._log.info("agent start")
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._wake.wait(self._step())
        finally:
            pools = (self._workers, self._cleaners, self._sweeper)
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)  # no further one begins in any
            for pool in pools:
                pool.shutdown(wait=True)
            self._parts.dhcp.close()
            self._parts.uplinks.close()
            self._log.info("agent stop")
        if self._refused is not None:
            raise self._refused

    def _step(self) -> float:
        """Do one round; returns the seconds after which to come back, if nothing wakes it."""
        is_due = self._parts.stopwatch() >= self._look_at
        try:
            if is_due or self._view is None:
                self._look()
            self._round(self._parts.orders.current(), settings=is_due)
        except ListingRefused as error:
            self._go_back(error)
        except (Error, OSError) as error:
            self._log.error("round", outcome="failed", error=str(error))
        except Exception:  # a bug must not end the agent: it is tried again, and seen in the log
            self._log.exception("round", outcome="failed")
        return self._next_s()

    def _go_back(self, error: ListingRefused) -> None:
        """Go on with the policy of before, since the controller does not take the present one."""
        if self._parts.senses.go_back():
            self._log.error(
                "config.refused",
                outcome="what held before holds again",
                error=str(error),
                hint=error.hint,
            )
            self._look_at = 0.0
            return
        self._refused = error
        self._stopping.set()

    def _look(self) -> None:
        self._look_at = self._parts.stopwatch() + self._parts.look_every_s
        before, self._view = self._view, self._parts.senses.view()
        if gone := withdrawn(before, self._view, self._parts.orders.current()):
            self._log.warning("config.withdrawn", outcome=str(gone))
        facts = self._parts.senses.facts(self._parts.host_name, self._view)
        problems = [*facts.problems, *self._troubles(self._view)]
        self._parts.reporter.tell_facts(msgspec.structs.replace(facts, problems=problems))
        self._parts.reporter.tell_health(self._parts.senses.health(self._view))

    def _troubles(self, view: View) -> Iterator[str]:
        """What an operator should know of the tasks: what is not mended, what waits, what hangs."""
        yield from self._card_problems
        yield from self._guard_problems
        yield from self._uplink_problems
        yield from self._parts.dhcp.problems
        yield from self._ledger.problems("vf settings")
        yield from self._ledger.problems("cleaning", tries=TRIES_MAX)
        yield from self._ledger.overdue(
            {
                "guest": _GUEST_LIMIT_S,
                "vf settings": _GUEST_LIMIT_S,
                "cleaning": view.policy.cleaning_timeout_s,
            }
        )

    def _round(self, order: Desired | None, *, settings: bool) -> None:
        busy = self._ledger.busy()  # before observing: what ends meanwhile is looked at again
        done = {one.device_id: one.round for one in self._ledger.cleaned().values()}
        in_hand = frozenset[str]().union(*(task.touches for task in busy))
        inventory = self._parts.senses.inventory()
        if order is None:
            observed = self._parts.senses.observe(
                None, done, in_hand, settings=settings, inventory=inventory
            )
            self._tell_guests(None, observed, (), busy)
            return
        relay = self._relay(order, inventory)
        desired, carriers = relay.desired, carrying(relay.desired, inventory)
        observed = self._parts.senses.observe(
            desired, done, in_hand, settings=settings, inventory=inventory, relay=relay
        )
        tasks = [task_of(action) for action in plan(desired, observed)]
        self._parts.shop.guards.heed(desired, carriers)
        standing = frozenset(task.identity for task in tasks)
        self._ledger.keep(standing | frozenset(cleanings(desired)))
        self._tell_guests(desired, observed, tasks, busy)
        if settings:
            mends = self._parts.senses.vfs.mends()
            self._parts.reporter.tell_vfs(vfs_told(desired, observed, mends, relay.held))
        for task in self._ledger.take(tasks, busy):
            is_cleaning = isinstance(task.action, CleanDevice)
            (self._cleaners if is_cleaning else self._workers).submit(self._worker.work, task)
        self._switch(desired, inventory, carriers, settings)
        self._sweep()
        self._parts.reporter.tell_consoles(desired.consoles, mark_of(desired))

    def _seen(self) -> View:
        assert self._view is not None  # neither round nor plan is there without a look
        return self._view

    def _relay(self, order: Desired, inventory: Inventory) -> Relayed:
        """What uplinks make of *order*; those that it depends on are followed from now on."""
        view = self._seen()
        policy = view.policy
        cards = hanging(order, view, inventory, relays=policy.relays)
        pfs = frozenset(card.pf for card in cards)
        relay = relayed(order, cards, self._parts.uplinks.watch(pfs, policy.patience))
        self._uplink_problems = relay.said
        return relay

    def _tell_guests(
        self,
        desired: Desired | None,
        observed: Observed,
        tasks: Sequence[Task],
        busy: Sequence[Task],
    ) -> None:
        """Tell of guests and cleaning, and whether all that is wanted is done."""
        records = [record for task in tasks if (record := self._ledger.get(task.identity))]
        state = report(
            desired,
            observed,
            troubles=troubles_of(records),
            cleaned=self._ledger.cleaned(),
            busy=frozenset(task.subject for task in busy),
            before=self._parts.reporter.state,
            memos=self._parts.orders.memos(),
        )
        is_obeyed = not busy and len(records) == len(tasks) and all(one.is_over for one in records)
        obeyed = mark_of(desired) if desired and is_obeyed else self._parts.reporter.state.obeyed
        self._parts.reporter.tell_state(msgspec.structs.replace(state, obeyed=obeyed))

    def _switch(
        self, desired: Desired, inventory: Inventory, carriers: frozenset[str], look: bool
    ) -> None:
        """See to what guests need of virtual switches: guards, that cards know them, and DHCP."""
        view = self._seen()
        if view.switching.silence:
            return  # silence is no word that a guest is not behind a card any more
        self._guard_problems = self._parts.shop.guards.settle(view)
        served = services(desired, view)
        if desired.dhcp is not None:
            self._parts.dhcp.want(served, look=look)
        told = entries(desired, inventory, view, carriers)
        self._card_problems = self._parts.shared.settle(
            told | server_entries(served, self._parts.host_name)
        )

    def _sweep(self) -> None:
        rules, orders = self._seen().policy.image_cache, self._parts.orders
        if self._parts.sweep.is_due(rules):
            self._sweeper.submit(self._parts.sweep.run, rules, orders.current)

    def _next_s(self) -> float:
        waits = [self._look_at - self._parts.stopwatch()]
        desired = self._parts.orders.current()
        retry_s = self._ledger.wait_s() if desired is not None else None
        if retry_s is not None:
            waits.append(retry_s)
        if desired is not None and desired.consoles:
            waits.append(_CONSOLE_EVERY_S)
        return max(0.05, min(waits))
