"""Filters by name: the part of regular expressions that clients use, and no more."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.compute.pattern import Pattern


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("web", "my-Web-1", True),
        ("WEB", "web", True),
        ("", "anything", True),
        ("^web", "my-web", False),
        ("web$", "web-1", False),
        ("^web-1$", "web-1", True),
        ("^a$", "aa", False),
        ("^web-.*-db$", "web-3-db", True),
        ("^ab.*bc$", "abc", False),
        ("a.*c.*e", "abcde", True),
        ("a.*c.*b", "abcde", False),
        (".*", "", True),
        ("^$", "", True),
        ("^$", "x", False),
        ("10.0.15.1", "10.0.15.1", True),
        (r"^10\.0\.15\.1$", "10.0.15.1", True),
        (r"1\$", "1$", True),
        ("web (old)", "web (old)", True),
        ("(", "a(b", True),
        ("\\", "a\\b", True),
        ("(a+)+$", "aaaa", False),
    ],
)
def test_what_is_found(pattern: str, text: str, is_found: bool) -> None:
    assert Pattern.parse(pattern).finds(text) is is_found


@given(
    st.lists(st.text("ab", max_size=3), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.text("ab", max_size=12),
)
def test_it_says_what_a_regular_expression_says(
    parts: list[str], from_start: bool, to_end: bool, text: str
) -> None:
    pattern = "^" * from_start + ".*".join(parts) + "$" * to_end
    assert Pattern.parse(pattern).finds(text) is (re.search(pattern, text) is not None)


def test_no_pattern_takes_long() -> None:
    assert not Pattern.parse(".*".join("a" * 128)).finds("a" * 100 + "b" * 100_000)
