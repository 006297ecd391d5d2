"""One writer for SQLite: many small transactions, one fsync.

Callers submit a unit of work and wait. The writer runs whatever has queued up in one
transaction, each unit in its own savepoint, commits once, and only then answers. So an
answered caller is on disk, and a unit that fails undoes only itself.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

T = TypeVar("T")
Work = Callable[[sa.Connection], T]
Job = tuple[Work[Any], "Future[Any]"]


class Writer:
    """Runs units of work on its own thread, at most *batch_max* to a commit."""

    def __init__(self, engine: sa.Engine, batch_max: int = 64) -> None:
        self._engine = engine
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

    def close(self) -> None:
        """Finish what is queued, then stop."""
        self._queue.put(None)
        self._thread.join()

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
        try:
            with self._engine.begin() as connection:
                answers = [_attempt(connection, work, future) for work, future in batch]
        except Exception as error:  # the database itself failed; each caller gets to know
            if len(batch) > 1:  # one bad unit must not fail the others
                for job in batch:
                    self._commit([job])
                return
            answers = [partial(future.set_exception, error) for _, future in batch]
        for answer in answers:
            answer()


def _attempt(connection: sa.Connection, work: Work[T], future: Future[T]) -> Callable[[], None]:
    """Run one unit in a savepoint; return how to answer it once the commit has happened."""
    try:
        with connection.begin_nested():
            result = work(connection)
    except IntegrityError as error:
        return partial(future.set_exception, error)
    except DBAPIError:
        raise  # disk full, I/O error: SQLite may have dropped the whole transaction
    except Exception as error:  # carried to the caller, whatever it is
        return partial(future.set_exception, error)
    return partial(future.set_result, result)
