"""What sentences are made of."""

import pytest

from lanekeeper.domain.errors import some


@pytest.mark.parametrize(
    ("texts", "said"),
    [("", ""), ("a", "a"), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more")],
)
def test_the_first_few_are_named_and_the_others_counted(texts: str, said: str) -> None:
    assert some(texts, 3) == said


def test_what_has_commas_of_its_own_is_parted_otherwise() -> None:
    assert some(iter("abc"), 2, "; ") == "a; b and 1 more"
