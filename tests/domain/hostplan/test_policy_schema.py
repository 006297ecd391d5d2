"""The published schema says what the parser says, wherever a schema can."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.hostplan.policy.policy import parse_policy
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid
from lanekeeper.domain.hostplan.policy.schema import schema

ROOT = Path(__file__).parents[3]
VALIDATOR = jsonschema.Draft202012Validator(schema())
SAMPLES = sorted((ROOT / "tests/host/plans").glob("*/policy.yaml"))
ENTRY = {"pf": "ens1", "vfs": 7}
BOTH = {"physical_network": "p", "alias": "a"}


def test_the_published_schema_is_this_one() -> None:
    published = (ROOT / "docs/reference/host-policy.schema.json").read_text()
    assert published == json.dumps(schema(), indent=2) + "\n", "run scripts/policy_schema.py"
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", [ROOT / "packaging/policy.sample.yaml", *SAMPLES], ids=str)
def test_policies_that_are_read_are_valid(path: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"version": 2},
        {"version": 1, "pfss": []},
        {"version": 1, "pfs": {}},
        {"version": 1, "pfs": [{"pf": "ens1"}]},
        {"version": 1, "pfs": [{**ENTRY, "vfs": -1}]},
        {"version": 1, "pfs": [{**ENTRY, "sriov_numvfs": 7}]},
        {"version": 1, "pfs": [{**ENTRY, "pf": {}}]},
        {"version": 1, "pfs": [{**ENTRY, "pf": {"vendor": 8086}}]},
        {"version": 1, "pfs": [{**ENTRY, "pf": {"vendor": "80867"}}]},
        {"version": 1, "pfs": [{**ENTRY, "pf": {"class": "020"}}]},
        {"version": 1, "pfs": [{**ENTRY, "pf": 5}]},
        {"version": 1, "pfs": [{**ENTRY, "vf_driver": "../x"}]},
        {"version": 1, "pfs": [{**ENTRY, "vf_driver": False}]},
        {"version": 1, "pfs": [{**ENTRY, "vf_driver": ""}]},
        {"version": 1, "pfs": [{**ENTRY, "eswitch": "on"}]},
        {"version": 1, "boot": {"entry": "one"}},
        {"version": 1, "pfs": [{**ENTRY, "trust": "yes"}]},
        {"version": 1, "pfs": [{**ENTRY, "tags": {"address": "x"}}]},
        {"version": 1, "pfs": [{**ENTRY, "ranges": [{"vfs": "a-b"}]}]},
        {"version": 1, "pfs": [{**ENTRY, "physical_network": "p", "alias": "a"}]},
        {"version": 1, "pfs": [{**ENTRY, "ranges": [{"vfs": 1, **BOTH}]}]},
        {"version": 1, "pfs": [{**ENTRY, "mac": "01:00:00:00:00:01"}]},
        {"version": 1, "pfs": [{**ENTRY, "ranges": [{"vfs": 1, "mac": "0b:00:00:00:00:01"}]}]},
        {"version": 1, "pfs": [{**ENTRY, "mac": "02:00:00:00:00"}]},
        {"version": 1, "pfs": [{**ENTRY, "ranges": [{"trust": True}]}]},
        {"version": 1, "kernel_arguments": ["a b"]},
        {"version": 1, "huge_pages": [{"node": 0, "size": "3M", "pages": 1}]},
        {"version": 1, "module_options": {"kvm": ["a b"]}},
        {"version": 1, "ovs": {"max_idle_ms": -1}},
        {"version": 1, "persist": "yes"},
    ],
    ids=str,
)
def test_what_the_parser_refuses_an_editor_marks(document: dict[str, Any]) -> None:
    with pytest.raises(PolicyInvalid):
        parse_policy(document)
    assert not VALIDATOR.is_valid(document)


_scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 300),
    st.sampled_from(["ens1", "8086", "0200", "stable", "0-3", "none", "up", "legacy", "a b", ""]),
    st.sampled_from(["02:00:00:00:00:01", "0A:00:00:00:10:00", "01:00:00:00:00:01"]),
)
_entries: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(
        [
            "pf",
            "vfs",
            "vf_driver",
            "alias",
            "physical_network",
            "mac",
            "trust",
            "link",
            "eswitch",
            "x",
        ]
    ),
    _scalars,
)


@given(st.fixed_dictionaries({}, optional={"pf": _scalars, "vfs": _scalars}), _entries)
def test_what_the_parser_takes_the_schema_takes(base: dict[str, Any], more: dict[str, Any]) -> None:
    document = {"version": 1, "pfs": [{**ENTRY, **base, **more}]}
    try:
        parse_policy(document)
    except PolicyInvalid:
        return
    VALIDATOR.validate(document)
