import pytest

from agent.orders_of import cleaning, nic, server, vf
from lanekeeper.agent.cleaning import CleaningWaits
from lanekeeper.agent.ledger import TRIES_MAX, Ledger, Record
from lanekeeper.agent.plan import ApplyVfSettings, CleanDevice, DestroyGuest, StartGuest
from lanekeeper.agent.task import Kind, Task, task_of
from lanekeeper.domain.errors import Error, HostFault, Invalid, Unavailable
from lanekeeper.protocol import CleaningState

START = task_of(StartGuest(server(1, nics=[nic(0), nic(1)])))
AGAIN = task_of(StartGuest(server(1, 2, nics=[nic(0), nic(1)])))
OTHER = task_of(StartGuest(server(2, nics=[nic(2)])))
MENDS = [task_of(ApplyVfSettings(server(1), nic(index), ("vlan",))) for index in (0, 1)]
DESTROY = task_of(DestroyGuest(server(1).id))
CLEAN = task_of(CleanDevice(cleaning(vf(0))))


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
def ledger(hand: Hand) -> Ledger:
    return Ledger(hand)


def known(ledger: Ledger, task: Task) -> Record:
    record = ledger.get(task.identity)
    assert record is not None
    return record


def test_the_wait_doubles_and_ends(ledger: Ledger, hand: Hand) -> None:
    waits = []
    for _ in range(TRIES_MAX):
        assert ledger.take([START], []) == [START]
        ledger.failed(START, HostFault("no"))
        waits.append(ledger.wait_s())
        assert ledger.take([START], []) == []
        hand.now_s = known(ledger, START).next_s
    assert waits == [1.0, 2.0, 4.0, None]
    assert ledger.take([START], []) == []


def test_another_order_starts_from_zero(ledger: Ledger) -> None:
    ledger.failed(START, Invalid("never"))
    assert ledger.take([START], []) == []
    assert ledger.take([AGAIN], []) == [AGAIN]
    ledger.failed(AGAIN, HostFault("no"))
    assert known(ledger, AGAIN).failures == 1


@pytest.mark.parametrize(
    ("task", "error", "given_up_after"),
    [
        (START, Invalid("x"), 1),
        (START, HostFault("x"), TRIES_MAX),
        (START, Unavailable("x"), None),
        (CLEAN, HostFault("x"), TRIES_MAX),
        (CLEAN, CleaningWaits("x"), None),
        (DESTROY, Invalid("x"), None),
        (MENDS[0], HostFault("x"), None),
    ],
)
def test_when_it_is_given_up(
    ledger: Ledger, task: Task, error: Error, given_up_after: int | None
) -> None:
    given_up = []
    for _ in range(20):
        ledger.failed(task, error)
        given_up.append(known(ledger, task).given_up)
    assert (given_up.index(True) + 1 if True in given_up else None) == given_up_after


def test_the_longest_wait_is_a_minute(ledger: Ledger) -> None:
    for _ in range(20):
        ledger.failed(DESTROY, HostFault("no"))
    assert ledger.wait_s() == 60.0


def test_success_forgets_and_so_does_an_order_that_stands_no_more(ledger: Ledger) -> None:
    ledger.failed(START, HostFault("no", hint="look there"))
    ledger.failed(OTHER, HostFault("no"))
    assert known(ledger, START).problem == "no (look there)"
    ledger.succeeded(START)
    assert ledger.get(START.identity) is None
    ledger.keep(frozenset({OTHER.identity}))
    assert known(ledger, OTHER).failures == 1
    ledger.keep(frozenset({START.identity}))
    assert ledger.get(OTHER.identity) is None


def test_what_is_in_hand_is_not_forgotten_and_keeps_others_off(ledger: Ledger) -> None:
    assert ledger.take([START, OTHER, CLEAN, *MENDS, DESTROY], []) == [START, OTHER]
    ledger.keep(frozenset())
    assert ledger.busy() == (START, OTHER)
    assert ledger.take([CLEAN], [START]) == []
    ledger.dropped(START)
    assert ledger.get(START.identity) is None
    assert ledger.take([CLEAN], [START]) == []  # it was in hand when the host was looked at
    assert ledger.take([CLEAN], []) == [CLEAN]


def test_one_vf_that_does_not_take_its_settings_does_not_keep_the_next_one_waiting(
    ledger: Ledger, hand: Hand
) -> None:
    assert ledger.take(MENDS, []) == MENDS[:1]  # one at a time: a tombstone touches only the server
    ledger.failed(MENDS[0], HostFault("firmware says no"))
    assert ledger.take(MENDS, []) == MENDS[1:]
    hand.now_s = 5.0
    assert ledger.wait_s() is None  # the first waits for the second, whose end wakes the agent
    ledger.succeeded(MENDS[1])
    assert ledger.wait_s() == 0.0


def test_what_a_cleaning_came_to_is_told_while_it_is_asked_for(ledger: Ledger) -> None:
    done = CleaningState(device_id=CLEAN.subject, round=1, clean=True)
    ledger.succeeded(CLEAN, done)
    assert ledger.cleaned() == {CLEAN.subject: done}
    assert ledger.take([CLEAN], []) == []
    ledger.keep(frozenset({CLEAN.identity}))
    assert ledger.cleaned() == {CLEAN.subject: done}
    ledger.keep(frozenset({task_of(CleanDevice(cleaning(vf(0), 2))).identity}))
    assert ledger.cleaned() == {}


def test_a_cleaning_has_failed_only_once_it_is_given_up(ledger: Ledger) -> None:
    said = CleaningState(device_id=CLEAN.subject, round=1, clean=False, problem="no")
    for _ in range(TRIES_MAX):
        assert ledger.cleaned() == {}
        ledger.failed(CLEAN, HostFault("no"), said)
    assert ledger.cleaned() == {CLEAN.subject: said}


def test_a_task_that_hangs_is_told_of_once_it_is_far_beyond_its_limit(
    ledger: Ledger, hand: Hand
) -> None:
    limits: dict[Kind, float] = {"cleaning": 10.0, "guest": 100.0, "vf settings": 100.0}
    assert ledger.take([OTHER, CLEAN], []) == [OTHER, CLEAN]
    hand.now_s = 1000.0
    assert ledger.overdue(limits) == []  # they wait for a worker, who has another one in hand
    ledger.began(CLEAN)
    ledger.began(OTHER)
    hand.now_s = 1020.0
    assert ledger.overdue(limits) == []
    hand.now_s = 1020.5
    (told,) = ledger.overdue(limits)
    assert told.startswith(f"{CLEAN.subject} ({CLEAN.device}): 'device clean' takes longer than 20")
    hand.now_s = 1100.0
    assert ledger.overdue(limits) == [told]
    ledger.failed(CLEAN, HostFault("no"))
    ledger.succeeded(OTHER)
    hand.now_s = 9999.0
    assert ledger.overdue(limits) == []
    assert ledger.take([CLEAN], []) == [CLEAN]
    assert ledger.overdue(limits) == []


def test_a_cleaning_that_waits_is_told_of_after_as_many_tries_as_others_get(ledger: Ledger) -> None:
    for tries in range(1, TRIES_MAX + 1):
        ledger.failed(CLEAN, CleaningWaits("a guest has it"))
        told = ledger.problems("cleaning", tries=TRIES_MAX)
        assert told == ([f"{CLEAN.subject}: a guest has it"] if tries == TRIES_MAX else [])
    ledger.failed(CLEAN, HostFault("no"), CleaningState(device_id="d", round=1, clean=False))
    assert ledger.problems("cleaning") == []  # given up: its report tells
