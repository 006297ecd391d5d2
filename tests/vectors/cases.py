"""Cases with known answers: what Nova, Placement and Neutron did when they were run.

Each file below ``nova/`` and ``neutron/`` holds cases; an adapter ``test_FILE.py`` turns a case's
input into what Lanekeeper says. Where Lanekeeper means to differ, ``deliberate.toml`` says so: the
case then has to differ still, and to give what stands there. ``LANEKEEPER_VECTORS`` names another
directory with files of the same names.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
_MISSING = object()


@dataclass(frozen=True)
class Difference:
    """Where Lanekeeper goes another way on purpose.

    Attributes:
        about: which part of the answer, ``expect`` as a rule.
        ids: patterns of case ids, as in a shell.
        when: members that the case's answer must have, beside the pattern.
        expect: what Lanekeeper says; ``_MISSING`` where only the difference is stated.
    """

    file: str
    ids: tuple[str, ...]
    reason: str
    document: str
    about: str = "expect"
    expect: Any = _MISSING
    when: Mapping[str, Any] = field(default_factory=dict)

    def is_about(self, data: Mapping[str, Any]) -> bool:
        answer = data.get(self.about)
        told = answer if isinstance(answer, dict) else {}
        return any(fnmatchcase(data["id"], pattern) for pattern in self.ids) and all(
            told.get(name) == value for name, value in self.when.items()
        )


@dataclass(frozen=True)
class Case:
    id: str
    data: dict[str, Any]
    difference: Difference | None

    def judge(self, said: Any, expected: Any) -> None:
        """Compare what Lanekeeper *said* with the case's answer, or with the declared one."""
        if self.difference is None:
            assert said == expected, f"said {said!r}, not {expected!r}"
            return
        assert said != expected, f"{self.id} does not differ any more: {self.difference.reason}"
        if self.difference.expect is not _MISSING:
            declared = self.difference.expect
            assert said == declared, f"said {said!r}, not {declared!r} as declared"


def differences() -> list[Difference]:
    document = tomllib.loads((HERE / "deliberate.toml").read_text())
    return [
        Difference(
            file=one["file"],
            ids=tuple(one.get("ids", ["*"])),
            reason=one["reason"],
            document=one["document"],
            about=one.get("about", "expect"),
            expect=one.get("expect", _MISSING),
            when=one.get("when", {}),
        )
        for one in document["difference"]
    ]


def cases(file: str, about: str = "expect") -> list[Any]:
    """Return the cases of *file*, such as ``nova/alias``, as parameters of a test."""
    path = Path(os.environ.get("LANEKEEPER_VECTORS", HERE)) / f"{file}.json"
    if not path.exists():
        return []
    declared = [one for one in differences() if (one.file, one.about) == (file, about)]
    parameters = []
    for data in json.loads(path.read_text())["vectors"]:
        found = next((one for one in declared if one.is_about(data)), None)
        name = f"{data['id']}=deliberate" if found else data["id"]
        parameters.append(pytest.param(Case(data["id"], data, found), id=name))
    return parameters
