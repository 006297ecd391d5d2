"""Options that describe a server that nobody has made yet."""

import argparse

import pytest

from lanekeeper.cli.explain import answer_text
from lanekeeper.cli.question import add_question, hints_of
from lanekeeper.domain.errors import Invalid


def test_hints_are_read_as_the_stock_client_does() -> None:
    assert hints_of(["group=g1", "different_host=a", "different_host=b", "different_host=c"]) == {
        "group": "g1",
        "different_host": ["a", "b", "c"],
    }
    assert hints_of(["k=v=w"]) == {"k": "v=w"}


@pytest.mark.parametrize("text", ["group", "=g1", ""])
def test_a_hint_without_a_value_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not KEY=VALUE"):
        hints_of([text])


def test_options_have_the_form_that_the_api_takes() -> None:
    parser = argparse.ArgumentParser()
    add_question(parser)
    parsed = parser.parse_args(["--network", "n", "--network", "m", "--vnic-type", "macvtap"])
    parsed = parser.parse_args(["--security-group", "web"], parsed)
    assert parsed.security_group == ["web"]
    assert parser.parse_args([]).vnic_type is None  # as flavor, image and configuration say
    assert (parsed.network, parsed.vnic_type, parsed.trusted) == (["n", "m"], "macvtap", False)


def test_where_on_its_host_a_server_would_be_is_said() -> None:
    host = {"hosts": ["h1"], "count": 1, "rank": 1, "devices": ["0000:41:10.0"], "cells": [0, 1]}
    lines = list(answer_text({"summary": "1 of 1 hosts fit.", "hosts": [host]}))
    assert lines[1] == "  h1: fits, choice 1 with 0000:41:10.0 on NUMA cell 0, 1"
