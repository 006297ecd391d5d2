import msgspec
import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.document import (
    ConsumerEntry,
    Document,
    InventoryEntry,
    ProviderEntry,
    differences,
    parents_first,
    parse,
)

HOST = ProviderEntry(uuid="h", name="host", inventories={"VCPU": InventoryEntry(total=8)})
CARD = ProviderEntry(uuid="c", name="card", parent="h", traits=frozenset({"CUSTOM_A"}))
GUEST = ConsumerEntry(
    uuid="g", project_id="p", user_id="u", type="INSTANCE", allocations={"h": {"VCPU": 2}}
)
WHOLE = Document(traits=frozenset({"CUSTOM_A"}), providers=(CARD, HOST), consumers=(GUEST,))


def test_what_is_written_is_read_back() -> None:
    assert parse(msgspec.json.encode(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not an exported inventory"),
        (b"\xff", "not an exported inventory"),
        (b'{"providers": [{"uuid": "a"}]}', r"name.*providers\[0\]"),
        (b'{"providers": [], "more": 1}', "more"),
        (b'{"lanekeeper_inventory": 2}', "this version reads 1"),
    ],
)
def test_what_is_no_document_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse(raw)


def test_parents_come_before_their_children() -> None:
    assert list(parents_first(WHOLE.providers)) == [(HOST,), (CARD,)]


@pytest.mark.parametrize("parent", ["nobody", "c"])
def test_a_parent_that_is_not_there_and_a_loop_are_refused(parent: str) -> None:
    with pytest.raises(Invalid, match="card"):
        list(parents_first((ProviderEntry(uuid="c", name="card", parent=parent),)))


def test_differences_are_told_in_sentences() -> None:
    there = Document(
        providers=(msgspec.structs.replace(HOST, inventories={}),),
        consumers=(msgspec.structs.replace(GUEST, allocations={"h": {"VCPU": 1}}),),
    )
    assert list(differences(WHOLE, WHOLE)) == []
    assert list(differences(WHOLE, there)) == [
        "CUSTOM_A is missing among the traits",
        "provider c is missing",
        'provider h: inventories is {}, not {"VCPU":{"allocation_ratio":1.0,'
        '"max_unit":2147483647,"min_unit":1,"reserved":0,"step_size":1,"total":8}}',
        'consumer g: allocations is {"h":{"VCPU":1}}, not {"h":{"VCPU":2}}',
    ]


def test_what_is_there_beside_it_is_no_difference() -> None:
    assert list(differences(Document(), WHOLE)) == []
