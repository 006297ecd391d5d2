import pytest

from lanekeeper.domain.scheduling.spec_match import spec_matches


@pytest.mark.parametrize(
    ("value", "required", "matches"),
    [
        ("true", "true", True),
        ("true", "True", False),
        ("", "", True),
        ("2", "= 1", True),
        ("1", "= 2", False),
        ("2", "== 2.0", True),
        ("2", "!= 2", False),
        ("10", ">= 9", True),
        ("10", "<= 9", False),
        ("10", "s>= 9", False),
        ("b", "s== b", True),
        ("b", "s!= b", False),
        ("b", "s> a", True),
        ("b", "s< a", False),
        ("b", "s<= b", True),
        ("abcdef", "<in> cd", True),
        ("abcdef", "<in> ce", False),
        ("aes,mmx", "<all-in> aes mmx", True),
        ("aes,mmx", "<all-in> aes sse", False),
        ("b", "<or> a <or> b", True),
        ("<or>", "<or> a <or> b", False),
        ("c", "<or> a <or> b", False),
        ("", "<or>", False),
        ("1", ">=", False),
        ("many", ">= 3", False),
        ("3", ">= many", False),
        ("> 3", "> 3", True),
    ],
)
def test_operators_are_novas(value: str, required: str, matches: bool) -> None:
    assert spec_matches(value, required) is matches
