"""Carrying out one task of a plan, and noting what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from lanekeeper.agent.apply import apply
from lanekeeper.agent.cleaning import Cleaner, CleaningFailed
from lanekeeper.agent.ledger import Ledger, problem_of
from lanekeeper.agent.observe import View
from lanekeeper.agent.orders import Orders
from lanekeeper.agent.plan import ApplyVfSettings, CleanDevice, nics_of
from lanekeeper.agent.task import Task
from lanekeeper.agent.vf_readings import VfReadings
from lanekeeper.agent.workshop import Workshop
from lanekeeper.clock import Clock, Stopwatch
from lanekeeper.domain.errors import Error, HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.protocol import CleaningState


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Works on tasks, on as many threads as there are.

    Attributes:
        vfs: what VFs are set to, which a task changes.
        view: the devices as they were last looked at.
        wake: called when a task is over, as the next plan may be another.
    """

    orders: Orders
    ledger: Ledger
    shop: Workshop
    cleaner: Cleaner
    vfs: VfReadings
    stopwatch: Stopwatch
    clock: Clock
    log: FilteringBoundLogger
    view: Callable[[], View]
    wake: Callable[[], None]

    def work(self, task: Task) -> None:
        """Carry *task* out and note what came of it; nothing while the host is frozen."""
        if self.orders.current() is None:  # frozen while the task waited for a worker
            self.ledger.dropped(task)
            self.wake()
            return
        self.ledger.began(task)
        started = self.stopwatch()
        error: Error | None = None
        try:
            cleaned = self._carry_out(task)
        except Error as failure:
            error = failure
        except OSError as failure:  # the disk is full, a file cannot be written
            error = HostFault(f"{failure.strerror}: {failure.filename}")
        except Exception:  # a bug in one task must not stop the others, nor be tried for ever
            self.log.exception(**task.described())
            error = HostFault("internal error of the agent; its log has the traceback")
        self._tell(task, self.stopwatch() - started, error)
        if error is None or not isinstance(task.action, ApplyVfSettings):
            self.vfs.forget(task.touches)  # of a VF that is not mended it holds on
        if error is None:
            self.ledger.succeeded(task, cleaned)
        else:
            self.ledger.failed(task, error, _given_up(task, error))
        self.wake()

    def _carry_out(self, task: Task) -> CleaningState | None:
        outcome = apply(task.action, self.shop, self.cleaner, self.view())
        self.vfs.learned(outcome.unsupported)
        self.vfs.settle(
            nic
            for nic in nics_of(task.action)
            if PciAddress.parse(nic.device.address) in outcome.unsupported
        )
        if isinstance(task.action, ApplyVfSettings) and task.action.taken:
            self.vfs.mended(task.action.nic, task.action.taken, self.clock())
            self.log.warning(
                "vf settings mended",
                server=task.subject,
                device=task.device,
                port=task.action.nic.port_id,
                settings=list(task.action.taken),
            )
        return outcome.cleaned

    def _tell(self, task: Task, seconds: float, error: Error | None) -> None:
        duration_ms = round(seconds * 1000)
        if error is None:
            self.log.info(**task.described(), duration_ms=duration_ms, outcome="done")
        else:
            self.log.warning(
                **task.described(), duration_ms=duration_ms, outcome="failed", error=str(error)
            )


def _given_up(task: Task, error: Error) -> CleaningState | None:
    """What a cleaning comes to if it fails for the last time; None for what is no cleaning."""
    if not isinstance(task.action, CleanDevice):
        return None
    return CleaningState(
        device_id=task.action.wanted.device.device_id,
        round=task.action.wanted.round,
        clean=False,
        steps=error.steps if isinstance(error, CleaningFailed) else [],
        problem=problem_of(error),
    )
