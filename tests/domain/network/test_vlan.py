import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.vlan import VlanRange, parse_vlan_ranges

ranges = st.tuples(st.integers(1, 4094), st.integers(1, 4094)).map(
    lambda ends: VlanRange(min(ends), max(ends))
)
names = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)


@given(st.dictionaries(names, st.lists(ranges, min_size=1, max_size=3)))
def test_ranges_read_back_in_their_order(wanted: dict[str, list[VlanRange]]) -> None:
    text = " , ".join(f"{name}:{one}" for name, several in wanted.items() for one in several)
    read = parse_vlan_ranges(text)
    for name, several in wanted.items():
        whole = VlanRange() in several[:-1]  # 1:4094 has them all, and further ranges add nothing
        assert whole or read[name] == tuple(several)


def test_a_bare_name_has_every_vlan_whatever_stands_beside_it() -> None:
    assert parse_vlan_ranges("p:1:9,p,p:20:30") == {"p": (VlanRange(),)}


def test_both_ends_belong_to_a_range() -> None:
    one = VlanRange(15, 16)
    assert [vlan in one for vlan in (14, 15, 16, 17)] == [False, True, True, False]


@pytest.mark.parametrize(
    "text", ["p:0:4094", "p:1:4095", "p:9:8", "p:1", "p:1:2:3", ":1:2", "p:0x1:2", "p:-1:2", "p::"]
)
def test_a_wrong_range_is_named(text: str) -> None:
    with pytest.raises(Invalid, match=f"network_vlan_ranges '{text}'"):
        parse_vlan_ranges(f"ok:1:2,{text}")
