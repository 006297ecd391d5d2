"""What an operator's policy file changes, and how a wrong one is refused."""

from pathlib import Path

import pytest

from lanekeeper.api.faults import compute_fault
from lanekeeper.api.policy import Enforcer
from lanekeeper.api.row import ADMIN, READER, Face, Policy, Row
from lanekeeper.control.caller import Caller
from lanekeeper.domain.errors import Forbidden, Invalid

SHOW = Policy("claims:show", READER)
CREATE = Policy("claims:create", ADMIN)
ROWS: tuple[Row[None], ...] = (
    Row(method="GET", path="/claims", handler=lambda call: {}, policy=SHOW),
    Row(method="POST", path="/claims", handler=lambda call: {}, policy=CREATE),
)
FACES = (Face(name="compute", prefix="/compute", rows=ROWS, envelope=compute_fault),)
MEMBER = Caller(user_id="u", user_name="u", roles=frozenset({"member", "reader"}))


def enforcer(tmp_path: Path, text: str) -> Enforcer:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return Enforcer(FACES, path)


def test_a_file_replaces_what_it_names_and_may_have_rules_of_its_own(tmp_path: Path) -> None:
    found = enforcer(tmp_path, '"lenders": "role:member"\n"claims:create": "rule:lenders"\n')
    found.check(CREATE, MEMBER)
    found.check(SHOW, MEMBER)
    with pytest.raises(Forbidden, match="claims:create"):
        Enforcer(FACES).check(CREATE, MEMBER)


def test_a_path_is_relative_to_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text('"claims:show": "!"\n')
    with pytest.raises(Forbidden, match="claims:show"):
        Enforcer(FACES, Path("policy.yaml")).check(SHOW, MEMBER)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"none\.yaml cannot be read: No such file"):
        Enforcer(FACES, tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('"claims:shew": ""', "yaml:1: there is no rule claims:shew", "mean claims:show"),
        ('"claims:show": ""\n"zzz": "@"', "yaml:2: there is no rule zzz", "remove it"),
        ('"claims:show": "rule:shwo"', "yaml:1: claims:show: there is no rule shwo", ""),
        ('"claims:show": "role:a and"', "yaml:1: claims:show: .* not a check string", "role:"),
        ('"claims:show": "foo or !"', "yaml:1: claims:show: .* not a check string", "role:"),
        ('"claims:show": [a]', "yaml:1: claims:show: a rule is a check string", '"role:admin"'),
        ("\n- claims:show", "yaml:2: a policy file maps", ""),
        ('"claims:show": @', "yaml:1: not YAML", "a rule is a line"),
        ('"claims:show": "@"\n"claims:show": "!"', "yaml:2: claims:show stands twice", ""),
        ('"claims:show": "rule:claims:show"', "circle: claims:show -> claims:show", ""),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        enforcer(tmp_path, text)
    assert hint in caught.value.hint


def test_a_refused_file_leaves_the_rules_that_were(tmp_path: Path) -> None:
    found = enforcer(tmp_path, '"claims:create": "role:member"\n')
    with pytest.raises(Invalid):
        found.load(tmp_path / "gone.yaml")
    found.check(CREATE, MEMBER)
    found.load(None)
    with pytest.raises(Forbidden):
        found.check(CREATE, MEMBER)
