import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.address_pattern import AddressExpressions, AddressPattern


def maybe(largest: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, largest)


patterns = st.builds(AddressPattern, maybe(0xFFFF), maybe(0xFF), maybe(0x1F), maybe(7))
addresses = st.builds(
    PciAddress,
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFF),
    st.integers(0, 0x1F),
    st.integers(0, 7),
)


@given(patterns)
def test_what_is_printed_reads_back(pattern: AddressPattern) -> None:
    assert AddressPattern.parse(str(pattern)) == pattern


@given(addresses)
def test_an_address_covers_itself_alone(address: PciAddress) -> None:
    pattern = AddressPattern.parse(str(address))
    assert pattern.is_exact
    assert pattern.covers(address)
    assert not pattern.covers(PciAddress(address.domain ^ 1, *_rest(address)))


@given(addresses)
def test_expressions_see_what_the_kernel_prints(address: PciAddress) -> None:
    bus, slot = f"{address.bus:02x}", f"{address.slot:02x}"
    assert AddressExpressions.parse({"bus": bus, "slot": slot}).covers(address)


def test_fields_may_be_left_off_from_the_left() -> None:
    assert AddressPattern.parse("3b:*.*") == AddressPattern.parse("*:3b:*.*")
    assert AddressPattern.parse("0000:06:") == AddressPattern(domain=0, bus=6)
    assert AddressPattern.parse(".1") == AddressPattern(function=1)
    assert AddressPattern.parse("1f") == AddressPattern(slot=0x1F)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0:0:3b:00.0", "more than domain:bus:slot.function"),
        ("*:3b:20.*", "slot '20' is neither"),
        ("0*:00.0", "bus '0\\*' is neither"),
        ("-1:00.0", "bus '-1' is neither"),
        ("0000:3b:00.8", "function '8' is neither"),
        ("0000:3b:00.1_0", "function '1_0' is neither"),
        ("0000:3b:00.\u0661", "function"),  # a digit, but not ASCII
    ],
)
def test_a_wrong_address_names_its_field(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        AddressPattern.parse(text)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"func": "1"}, "address has no key 'func'"),
        ({"function": 1}, "function 1 must be text"),
        ({"bus": "*"}, "bus '\\*' is not a regular expression"),
    ],
)
def test_a_wrong_expression_names_its_field(fields: dict[str, object], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        AddressExpressions.parse(fields)


def test_expressions_are_anchored_at_their_start_only() -> None:
    address = PciAddress.parse("0000:0a:00.1")
    assert AddressExpressions.parse({"bus": "0"}).covers(address)
    assert not AddressExpressions.parse({"bus": "a"}).covers(address)
    assert not AddressExpressions.parse({"bus": "0A"}).covers(address)


def _rest(address: PciAddress) -> tuple[int, int, int]:
    return address.bus, address.slot, address.function
