from datetime import UTC, datetime, timedelta

from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.token_memory import CALLER_AGE_S_MAX, TokenMemory

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
WHO = Caller(user_id="u", user_name="u", project_id="p", roles=frozenset(), request_id="")


class Watch:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_caller_is_believed_for_a_second_from_when_the_look_began() -> None:
    watch = Watch()
    memory = TokenMemory(watch)
    memory.remember("t", watch.now_s - CALLER_AGE_S_MAX / 2, LATER, WHO)
    assert memory.recall("t", NOW) is WHO
    assert memory.recall("t", LATER) is None
    watch.now_s += CALLER_AGE_S_MAX
    assert memory.recall("t", NOW) is None


def test_a_look_that_began_before_a_change_is_not_believed_after_it() -> None:
    watch = Watch()
    memory = TokenMemory(watch)
    began_s = memory.now_s()
    watch.now_s += 0.1
    memory.forget()  # somebody revoked the token meanwhile
    memory.remember("t", began_s, LATER, WHO)
    assert memory.recall("t", NOW) is None
    watch.now_s += 0.1
    memory.remember("t", memory.now_s(), LATER, WHO)
    assert memory.recall("t", NOW) is WHO
