"""One look for all who wait: never older than the question, and a failure is everybody's."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from lanekeeper.control.single_flight import SingleFlight
from lanekeeper.domain.errors import Unavailable

_WAITING = 6
_PATIENCE_S = 20.0


class Looks:
    """Looks that end when the test says so."""

    def __init__(self) -> None:
        self.outcomes: list[Future[int]] = [Future() for _ in range(3)]
        self.number = 0
        self.begun = threading.Semaphore(0)

    def look(self) -> int:
        outcome = self.outcomes[self.number]
        self.number += 1
        self.begun.release()
        return outcome.result(_PATIENCE_S)


def test_who_comes_during_a_look_gets_the_next_one() -> None:
    looks, flight = Looks(), SingleFlight[int]()
    with ThreadPoolExecutor(_WAITING + 1) as pool:
        first = pool.submit(flight.run, looks.look)
        assert looks.begun.acquire(timeout=_PATIENCE_S)
        others = [pool.submit(flight.run, looks.look) for _ in range(_WAITING)]
        looks.outcomes[1].set_result(2)
        looks.outcomes[2].set_result(3)
        looks.outcomes[0].set_result(1)
        assert first.result(_PATIENCE_S) == 1
        assert min(one.result(_PATIENCE_S) for one in others) == 2


def test_a_failure_is_told_to_all_who_wait() -> None:
    looks, flight, waiting = Looks(), SingleFlight[int](), threading.Semaphore(0)

    def ask() -> int:
        waiting.release()
        return flight.run(looks.look)

    with ThreadPoolExecutor(_WAITING + 1) as pool:
        first = pool.submit(ask)
        assert looks.begun.acquire(timeout=_PATIENCE_S)
        others = [pool.submit(ask) for _ in range(_WAITING)]
        for _ in range(_WAITING + 1):
            assert waiting.acquire(timeout=_PATIENCE_S)
        threading.Event().wait(0.2)  # until they have come to wait; too short fails nothing
        looks.outcomes[1].set_exception(Unavailable("away"))
        looks.outcomes[2].set_exception(Unavailable("away"))
        looks.outcomes[0].set_exception(Unavailable("away"))
        for one in (first, *others):
            with pytest.raises(Unavailable):
                one.result(_PATIENCE_S)
    assert looks.number <= len(looks.outcomes)
    assert flight.run(lambda: 7) == 7


def test_nobody_waits_for_ever_for_a_look_that_does_not_end() -> None:
    looks, flight = Looks(), SingleFlight[int](lands_within_s=0.05)
    with ThreadPoolExecutor(_WAITING + 1) as pool:
        first = pool.submit(flight.run, looks.look)
        assert looks.begun.acquire(timeout=_PATIENCE_S)
        for other in [pool.submit(flight.run, looks.look) for _ in range(_WAITING)]:
            with pytest.raises(Unavailable, match="was not read within"):
                other.result(_PATIENCE_S)
        looks.outcomes[0].set_result(1)
        assert first.result(_PATIENCE_S) == 1
        looks.outcomes[1].set_result(2)
        assert flight.run(looks.look) == 2
