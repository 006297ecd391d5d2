"""Whatever hosts there are and whatever is asked of them in whatever order, the books are right.

``ask`` says that a dry run agrees with the creation, ``fill`` that a capacity is what can be
created, ``books`` all that must be true of the rows. ``./dev test --long`` looks longer.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from any_fleet import Machine, Wish, machines, wishes
from any_world import HOSTS, AnyWorld, one_database
from campaign import size
from lanekeeper.control.compute.hypervisor import set_enabled
from lanekeeper.control.host.device import clean_device
from lanekeeper.control.host.device_reserve import release_device, retire_device
from lanekeeper.store.database import Database

pytestmark = pytest.mark.service

_names = st.sampled_from(HOSTS)
_numbers = st.integers(0, 7)


class Story(RuleBasedStateMachine):
    """One site's life."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.world = AnyWorld(self.database)

    @initialize(first=machines, second=machines)
    def begin(self, first: Machine, second: Machine) -> None:
        self.world.tell("h0", first)
        self.world.tell("h1", second)

    @rule(name=_names, machine=machines)
    def tell(self, name: str, machine: Machine) -> None:
        self.world.tell(name, machine)

    @rule(some=st.lists(wishes, min_size=1, max_size=4))
    def ask(self, some: list[Wish]) -> None:
        for wish in some:
            self.world.ask(wish)

    @rule(wish=wishes.filter(lambda wish: not wish.ports))
    def fill(self, wish: Wish) -> None:
        self.world.fill(wish)

    @precondition(lambda self: self.world.servers)
    @rule(number=_numbers)
    def delete(self, number: int) -> None:
        self.world.delete(number)

    @rule(name=st.sampled_from(HOSTS[:2]), works=st.booleans())
    def clean(self, name: str, works: bool) -> None:  # Hypothesis names it
        self.world.clean(name, works=works)

    @rule(work=st.sampled_from((release_device, retire_device, clean_device)), number=_numbers)
    def tend(self, work: object, number: int) -> None:
        self.world.tend(work, number)  # type: ignore[arg-type]  # one of the three above

    @rule(name=st.sampled_from(HOSTS[:2]), enabled=st.booleans())
    def switch(self, name: str, enabled: bool) -> None:  # Hypothesis names it
        set_enabled(self.world.site, self.world.fleet.hosts[name], enabled=enabled, reason="dust")

    @rule(name=st.sampled_from(HOSTS[:2]))
    def zone(self, name: str) -> None:
        self.world.zone(name)

    @invariant()
    def books(self) -> None:
        self.world.check()


def _look(examples: int, steps: int) -> None:
    with one_database() as Story.database:
        run_state_machine_as_test(
            Story,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_the_books_are_right() -> None:
    _look(size(10, 20), 8)


@pytest.mark.long
def test_the_books_are_right_for_long() -> None:
    _look(600, 15)
