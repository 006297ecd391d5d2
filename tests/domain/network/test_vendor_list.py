"""The old list of VFs: what is wrong with it is named."""

import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.vendor_list import parse_vendor_list


def test_blanks_do_not_count() -> None:
    assert parse_vendor_list("15b3 : 1004, 8086:10CA") == (("15b3", "1004"), ("8086", "10CA"))


@pytest.mark.parametrize("entry", ["15b3", "15b3:", ":1004", "15b3:1004:1", ""])
def test_a_wrong_entry_is_named(entry: str) -> None:
    with pytest.raises(Invalid, match=f"'{entry}' is not VENDOR:PRODUCT"):
        parse_vendor_list(f"8086:10ca,{entry}")
