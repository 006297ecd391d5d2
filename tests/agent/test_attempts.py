import pytest

from lanekeeper.agent.attempts import TRIES_MAX, Attempts
from lanekeeper.domain.errors import Error, HostFault, Invalid, Unavailable


class Hand:
    """A stopwatch that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def attempts(hand: Hand) -> Attempts:
    return Attempts(hand)


def test_the_wait_doubles_and_ends(attempts: Attempts, hand: Hand) -> None:
    waits = []
    for _ in range(TRIES_MAX):
        assert attempts.is_due("server", "order")
        last = attempts.failed("server", "order", HostFault("no"))
        waits.append(attempts.wait_s())
        hand.now_s = last.next_s
    assert waits == [1.0, 2.0, 4.0, None]
    assert not attempts.is_due("server", "order")


def test_another_order_starts_from_zero(attempts: Attempts) -> None:
    attempts.failed("server", "order", Invalid("never"))
    assert not attempts.is_due("server", "order")
    assert attempts.is_due("server", "another")
    assert attempts.failed("server", "another", HostFault("no")).failures == 1


@pytest.mark.parametrize(
    ("error", "endless", "given_up_after"),
    [
        (Invalid("x"), False, 1),
        (HostFault("x"), False, TRIES_MAX),
        (Unavailable("x"), False, None),
        (Invalid("x"), True, None),
        (HostFault("x"), True, None),
    ],
)
def test_when_it_is_given_up(
    attempts: Attempts, error: Error, endless: bool, given_up_after: int | None
) -> None:
    given_up = [
        attempts.failed("server", "order", error, endless=endless).given_up for _ in range(20)
    ]
    assert (given_up.index(True) + 1 if True in given_up else None) == given_up_after
    assert attempts.get("server") is not None


def test_the_longest_wait_is_a_minute(attempts: Attempts) -> None:
    for _ in range(20):
        attempts.failed("server", "order", HostFault("no"), endless=True)
    assert attempts.wait_s() == 60.0


def test_success_and_oblivion_forget(attempts: Attempts) -> None:
    attempts.failed("one", "order", HostFault("no", hint="look there"))
    attempts.failed("two", "order", HostFault("no"))
    one = attempts.get("one")
    assert one is not None
    assert one.problem == "no (look there)"
    attempts.succeeded("one")
    assert attempts.get("one") is None
    attempts.keep(frozenset({"three"}))
    assert attempts.get("two") is None
