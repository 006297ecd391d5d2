"""Every case of ours, as a test; and that the declarations are about something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vectors.__main__ import main
from vectors.adapters import ADAPTERS, NOT_YET
from vectors.case import CaseFile, Data, Outcome, find_files
from vectors.deliberate import differences, later
from vectors.run import declared, judge

FILES = tuple(find_files(Path(__file__).parent))


ON_A_SITE = {"nova/placement", "nova/server_lifecycle"}
"""Kinds that need a whole site, with a database."""


def answerable() -> list[Any]:
    return [
        pytest.param(
            file.kind,
            data,
            id=f"{file.kind}:{data['id']}",
            marks=[pytest.mark.service] if file.kind in ON_A_SITE else [],
        )
        for file in FILES
        if file.kind in ADAPTERS
        for data in file.cases
    ]


@pytest.mark.parametrize(("kind", "data"), answerable())
def test_case(kind: str, data: Data) -> None:
    result = judge(kind, data)
    assert result.outcome is not Outcome.FAILED, result.difference


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.kind)
def test_every_kind_is_answered_or_known_not_to_be(file: CaseFile) -> None:
    assert (file.kind in ADAPTERS) != (file.kind in NOT_YET)


def test_every_declared_difference_is_one() -> None:
    used = {
        id(declared(file.kind, data, answer))
        for file in FILES
        if file.kind in ADAPTERS and file.kind not in ON_A_SITE
        for data in file.cases
        for answer in ADAPTERS[file.kind](data)
        if answer.said != answer.expected
    }
    unused = [one for one in differences() if id(one) not in used]
    assert [one.reason for one in unused if not set(one.scope.files) & ON_A_SITE] == []


def test_every_postponed_case_exists() -> None:
    unused = [
        one.reason
        for one in later()
        if not any(
            one.scope.holds(data, data.get("expect"))
            for file in FILES
            if file.kind in one.scope.files
            for data in file.cases
        )
    ]
    assert unused == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"vectors": [\n  {"id": "a",}\n]}', "x.json:2:"),
        (b"", "x.json:1:1: this is not JSON"),
        (b'{"vectors": [\n"\xff"]}', "x.json:2: this is not UTF-8"),
        (
            b'{"vectors": [{"id": "a"}, {"name": "b"}]}',
            "x.json: case 2 is not an object with an id",
        ),
        (b'{"vectors": ["a"]}', "x.json: case 1 is not an object with an id"),
    ],
)
def test_a_broken_file_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert main([str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line.startswith("error: ")
    assert said in line
