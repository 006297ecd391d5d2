"""One writer for SQLite: many small transactions, one fsync.

Callers submit a unit of work and wait. The writer runs whatever has queued up in one
transaction, each unit in its own savepoint if there are several, commits once, and only then
answers. So an answered caller is on disk, and a unit that fails undoes only itself.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.engine import WatchedFile
from lanekeeper.store.outcome import is_undone, may_have_dropped_transaction, outcome_unknown

T = TypeVar("T")
Work = Callable[[sa.Connection], T]
Job = tuple[Work[Any], "Future[Any]"]
_ENDS_WITHIN_S = 30


class Writer:
    """Runs units of work on its own thread, at most *batch_max* to a commit.

    *file* is looked at before and after each commit: what was written to a file that has lost its
    name is not answered as done.
    """

    def __init__(
        self, engine: sa.Engine, file: WatchedFile | None = None, batch_max: int = 64
    ) -> None:
        self._engine = engine
        self._file = file
        self._batch_max = batch_max
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """Queue *work*; the future settles after the commit that holds it, or its failure.

        Work cancelled while it waits is never run; once started it cannot be cancelled.
        """
        future: Future[T] = Future()
        self._queue.put((work, future))
        return future

    def close(self, within_s: float = _ENDS_WITHIN_S) -> None:
        """Finish what is queued, then stop.

        Raises:
            Unavailable: it had not ended after *within_s*; it ends with the process.
        """
        self._queue.put(None)
        self._thread.join(within_s)
        if self._thread.is_alive():
            raise Unavailable(
                f"the database's writer is still at work after {within_s:g} s; the program ends "
                "without it, and what it has not committed is undone",
                hint="see whether the disk of the database answers",
            )

    def _run(self) -> None:
        for first in iter(self._queue.get, None):
            batch = [first]
            while len(batch) < self._batch_max and not self._queue.empty():
                job = self._queue.get()
                if job is None:
                    self._queue.put(None)
                    break
                batch.append(job)
            wanted = [job for job in batch if job[1].set_running_or_notify_cancel()]
            self._commit(wanted)

    def _commit(self, batch: list[Job]) -> None:
        """Run all units and commit; where one breaks the transaction, each is run apart."""
        try:
            answers = self._answers(batch)
        except _Broken as broken:
            if len(batch) > 1:
                for job in batch:
                    self._commit([job])
                return
            answers = _refusals(batch, broken.error)
        except Exception as error:  # the database itself failed; each caller gets to know
            answers = _refusals(batch, error)
        for answer in answers:
            answer()

    def _answers(self, batch: list[Job]) -> list[Callable[[], None]]:
        """Return how to answer each unit, now that all of them are on disk.

        Raises:
            _Broken: a unit failed in a way that leaves the transaction in doubt; it is undone.
        """
        if self._file is not None:
            self._file.check()
        with self._engine.connect() as connection, connection.begin() as transaction:
            if len(batch) == 1:  # what it raises undoes the transaction, and nobody else's
                answers = [_done(connection, *batch[0])]
            else:
                answers = [_attempt(connection, work, future) for work, future in batch]
            try:
                transaction.commit()
            except DBAPIError as error:
                if is_undone(error):
                    raise
                raise outcome_unknown(error.orig) from error
        if self._file is not None:
            self._file.check(written=True)
        return answers


class _Broken(Exception):
    """The database, not the work, made a unit fail."""

    def __init__(self, error: DBAPIError) -> None:
        super().__init__(str(error))
        self.error = error


def _refusals(batch: list[Job], error: Exception) -> list[Callable[[], None]]:
    return [partial(future.set_exception, error) for _, future in batch]


def _done(connection: sa.Connection, work: Work[T], future: Future[T]) -> Callable[[], None]:
    """Run one unit; return how to answer it once the commit has happened."""
    return partial(future.set_result, work(connection))


def _attempt(connection: sa.Connection, work: Work[T], future: Future[T]) -> Callable[[], None]:
    """Do the same in a savepoint, whatever comes of it.

    Raises:
        _Broken: disk full, I/O error: SQLite may have dropped the whole transaction, and with it
            the savepoint, so there is nothing to go back to.
    """
    savepoint = connection.begin_nested()
    try:
        result = work(connection)
        savepoint.commit()
    except DBAPIError as error:
        if may_have_dropped_transaction(error):
            raise _Broken(error) from error
        failure: Exception = error
    except Exception as error:  # carried to the caller, whatever it is
        failure = error
    else:
        return partial(future.set_result, result)
    savepoint.rollback()
    return partial(future.set_exception, failure)
