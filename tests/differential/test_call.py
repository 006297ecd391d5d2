"""Names in calls, and what they stand for on each server."""

from __future__ import annotations

from differential.call import Answer, Book, Call


def book(thing_id: str = "id-1") -> Book:
    made = Book()
    made.note("port-1", {"id": thing_id, "fixed_ips": [{"ip_address": "10.0.0.3"}], "mtu": 1500})
    return made


def test_names_become_what_a_server_showed() -> None:
    filled = book().fill(
        {"a": "{port-1}", "b": ["x={port-1.fixed_ips.0.ip_address}"], "c": "{port-1.mtu}", "d": 5}
    )
    assert filled == {"a": "id-1", "b": ["x=10.0.0.3"], "c": 1500, "d": 5}


def test_what_a_server_does_not_know_stays_as_it_is() -> None:
    assert book().fill("/ports/{port-2}") == "/ports/{port-2}"
    assert book().fill("{port-1.fixed_ips.1.ip_address}") == "{port-1.fixed_ips.1.ip_address}"


def test_a_thing_that_is_dropped_has_no_name_any_more() -> None:
    kept = book()
    assert (kept.name_of("id-1"), "port-1" in kept) == ("port-1", True)
    kept.drop("port-1")
    assert (kept.name_of("id-1"), "port-1" in kept) == (None, False)
    assert kept.fill("{port-1}") == "{port-1}"


def test_a_change_adds_to_what_is_known() -> None:
    kept = book()
    kept.note("port-1", {"id": "id-1", "mtu": 1400})
    assert kept.fill("{port-1.mtu} {port-1.fixed_ips.0.ip_address}") == "1400 10.0.0.3"


def test_an_operation_is_the_same_for_all_things() -> None:
    call = Call(method="PUT", path="/ports/{port-1}/bindings/sim-1")
    assert (call.operation, call.about) == ("PUT /ports/*/bindings/sim-1", "port-1")
    assert Call(method="GET", path="/ports").about == ""


def test_a_fault_has_its_type() -> None:
    fault = Answer(409, {"NeutronError": {"type": "MacAddressInUse", "message": "m"}})
    assert (str(fault), fault.is_fault) == ("409 MacAddressInUse", True)
    assert str(Answer(204)) == "204"
    assert str(Answer(500, "broken")) == "500"
