"""The tests that documents name are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"\btest_[a-z0-9_]+")
DEFINED = re.compile(r"^ *def (test_\w+)", re.MULTILINE)


def test_each_test_that_a_document_names_is_there() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    there = {path.stem for path in files}
    for path in files:
        there.update(DEFINED.findall(path.read_text()))
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
        if path.name != "CHANGELOG.md" and "decisions" not in path.parts
        for name in NAMED.findall(path.read_text())
    }
    assert len(named) > 40  # the pattern finds them
    assert sorted(one for one in named if one[1] not in there) == []
