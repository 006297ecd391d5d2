"""The declarations can be read, and each speaks of what it says only."""

from __future__ import annotations

from pathlib import Path

from differential.call import Call
from differential.comparison import Difference
from differential.deliberate import Declared, declared

ROOT = Path(__file__).parents[2]
CALL = Call(method="PUT", path="/ports/{port-1}", body={"port": {"name": "x"}})


def test_every_declaration_has_a_reason_and_its_page_is_there() -> None:
    for one in declared():
        assert one.reason
        assert not one.document or (ROOT / one.document).is_file(), one
        assert (one.theirs, one.ours) != ("*", "*") or one.about != ("answer",), one


def test_a_declaration_holds_for_its_calls_parts_and_answers() -> None:
    entry = Declared(
        calls=("PUT /ports/*",),
        about=("answer",),
        theirs="500*",
        ours="409 *",
        reason="r",
        document="",
        rule=lambda call: "name" in call.body["port"],
    )
    assert entry.holds(CALL, Difference("answer", "500", "409 PortBound"))
    for other in (
        Difference("port.mtu", "500", "409 PortBound"),
        Difference("answer", "200", "409 PortBound"),
        Difference("answer", "500", "400 PortBound"),
    ):
        assert not entry.holds(CALL, other)
    assert not entry.holds(
        Call(method="PUT", path="/ports/{port-1}", body={"port": {}}),
        Difference("answer", "500", "409 PortBound"),
    )


def test_a_declaration_may_ask_for_what_a_message_says() -> None:
    entry = Declared(
        calls=("PUT /ports/*",),
        about=("answer",),
        theirs="400 *",
        ours="200",
        reason="r",
        document="",
        they_say=("*'None'*", "*null*"),
        we_say=("",),
    )
    difference = Difference("answer", "400 InvalidInput", "200")
    assert entry.holds(CALL, difference, ("'None' is not a valid string", ""))
    assert not entry.holds(CALL, difference, ("'x' is not a valid string", ""))
    assert not entry.holds(CALL, difference, ("'None' is not a valid string", "so it is"))
