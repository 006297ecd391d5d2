"""Expressions of an address's fields: as Python's, and in bounded time."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.expression import parse, starts_with

LETTERS = "01af"
texts = st.text(LETTERS, max_size=8)
atoms = st.sampled_from(
    [
        *LETTERS,
        ".",
        "[0-9]",
        "[^a]",
        r"\d",
        r"\w",
        "^",
        "$",
        r"\Z",
        r"\b",
        "(?=0)",
        "(?!a)",
        r"\x30",
        "[]a]",
        "()",
    ]
)


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantifiers = st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,2}", "{,2}", "{1,}"])
    return st.one_of(
        st.builds(lambda one, more: one + more, inner, inner),
        st.builds(lambda one, more: f"{one}|{more}", inner, inner),
        st.builds(lambda one, how: f"(?:{one}){how}", inner, quantifiers),
        st.builds(lambda one: f"({one})", inner),
    )


@given(st.recursive(atoms, nested, max_leaves=8), texts)
def test_says_what_re_says(expression: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert starts_with(expression, text) == bool(re.match(expression, text))


@given(st.text("01a.*+?|()[]{},^$\\-i:=!<P", max_size=12), texts)
def test_reads_whatever_re_reads_or_says_what_it_does_not_take(expression: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = bool(re.match(expression, text))
        except re.error:
            with pytest.raises(Invalid, match="is not a regular expression"):
                parse(expression)
            return
    try:
        assert starts_with(expression, text) == expected
    except Invalid as error:
        assert "not taken" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "expression",
    [
        "(a|a)*" * 40 + "b",
        "(" * 60 + "a" + "*)" * 60 + "b",
        "((a{1000}){1000}){1000}",
        ".*" * 120 + "z",
    ],
)
def test_what_would_take_hours_is_answered(expression: str) -> None:
    assert not starts_with(expression, "aaaaaaaa")


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        (r"(a)\1", r"\\1"),
        ("(?<=a)b", r"\(\?<="),
        ("a*+", r"\*\+"),
        ("(?>a)", r"\(\?>"),
        ("a" * 257, "256"),
    ],
)
def test_what_is_not_taken_is_named(expression: str, named: str) -> None:
    with pytest.raises(Invalid, match=named):
        parse(expression)
