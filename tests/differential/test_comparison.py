"""What counts as a difference, and what servers may make up."""

from __future__ import annotations

from typing import Any

import pytest

from differential.call import Answer, Book, Call
from differential.comparison import Difference, Reader, compare

THEIRS, OURS = "1" * 32, "22222222-2222-4222-8222-222222222222"
CREATE = Call(method="POST", path="/ports")
LIST = Call(method="GET", path="/ports")


def differences(
    theirs: Any, ours: Any, call: Call = CREATE, said: frozenset[str] = frozenset()
) -> list[Difference]:
    answers = [Answer(200, theirs), Answer(200, ours)]
    books = [Book(), Book()]
    books[0].note("port-1", {"id": THEIRS})
    books[1].note("port-1", {"id": OURS})
    read = [Reader(b, said).read(call, a) for b, a in zip(books, answers, strict=True)]
    return compare((answers[0], read[0]), (answers[1], read[1]))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"port_id": THEIRS}, {"port_id": OURS}),
        ({"rule": "3" * 32}, {"rule": "44444444-4444-4444-8444-444444444444"}),
        ({"mac_address": "fa:16:3e:00:00:01"}, {"mac_address": "fa:16:3e:00:00:02"}),
        ({"created_at": "2026-11-20T21:26:44Z"}, {"created_at": "2026-11-21T21:26:45Z"}),
        ({"revision_number": 1}, {"revision_number": 4}),
        ({"tags": ["b", "a"]}, {"tags": ["a", "b"]}),
    ],
)
def test_what_is_made_up_may_differ(theirs: Any, ours: Any) -> None:
    assert differences({"port": theirs}, {"port": ours}) == []


@pytest.mark.parametrize(
    ("theirs", "ours", "about"),
    [
        ({"mtu": 1500}, {"mtu": 1400}, "port.mtu"),
        ({"mtu": 1500}, {"mtu": "1500"}, "port.mtu"),
        ({"mtu": 1}, {"mtu": True}, "port.mtu"),
        ({"mtu": 1500}, {}, "port.mtu"),
        ({}, {"more": None}, "port.more"),
        ({"port_id": THEIRS}, {"port_id": "3" * 32}, "port.port_id"),
        ({"mac_address": "fa:16:3e:00:00:01"}, {"mac_address": None}, "port.mac_address"),
        (
            {"mac_address": "02:00:00:00:00:01"},
            {"mac_address": "fa:16:3e:00:00:02"},
            "port.mac_address",
        ),
        ({"created_at": "2026-11-20T21:26:44Z"}, {"created_at": "yesterday"}, "port.created_at"),
        ({"pools": [1, 2]}, {"pools": [2, 1]}, "port.pools"),
        ({"pools": [1, 2]}, {"pools": [1]}, "port.pools"),
    ],
)
def test_everything_else_may_not(theirs: Any, ours: Any, about: str) -> None:
    found = differences({"port": theirs}, {"port": ours}, said=frozenset({"02:00:00:00:00:01"}))
    assert {one.about for one in found} == {about}


def test_status_and_error_type_come_first() -> None:
    theirs, ours = Answer(409, {"NeutronError": {"type": "MacAddressInUse"}}), Answer(201, {})
    assert compare((theirs, None), (ours, {})) == [
        Difference("answer", "409 MacAddressInUse", "201")
    ]
    other = Answer(409, {"NeutronError": {"type": "MacAddressInUse", "message": "other words"}})
    assert compare((theirs, None), (other, None)) == []


def test_lists_leave_out_what_is_not_of_the_sequence_and_have_an_order_only_if_asked() -> None:
    own, foreign = {"id": THEIRS, "name": "a"}, {"id": "9" * 32, "name": "left over"}
    assert differences({"ports": [foreign, own]}, {"ports": [{**own, "id": OURS}]}, LIST) == []
    names = [{"name": "a"}, {"name": "b"}]
    assert differences({"ports": names}, {"ports": names[::-1]}, LIST) == []
    in_order = Call(method="GET", path="/ports", query=(("sort_key", "name"),))
    assert len(differences({"ports": names}, {"ports": names[::-1]}, in_order)) == 2


def test_links_lead_to_the_same_page() -> None:
    def linked(host: str, marker: str) -> Any:
        href = f"http://{host}/v2.0/ports?limit=1&marker={marker}"
        return {"ports": [], "ports_links": [{"rel": "next", "href": href}]}

    assert differences(linked("a:1", THEIRS), linked("b:2/network", OURS), LIST) == []
    assert differences(linked("a:1", THEIRS), linked("b:2/network", "3" * 32), LIST) != []
