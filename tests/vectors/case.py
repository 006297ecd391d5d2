"""A file of cases with known answers, and what comes of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

Data = Mapping[str, Any]


class Broken(Exception):
    """A file that cannot be read; says where and why."""


class Answer(NamedTuple):
    """What Lanekeeper said of one case, beside what is expected; *about* names the part."""

    said: Any
    expected: Any
    about: str = "expect"


Adapter = Callable[[Data], Iterable[Answer]]
"""Asks Lanekeeper about one case of a kind of file, and says what it answered."""


class Outcome(StrEnum):
    PASSED = "passed"
    DELIBERATE = "deliberate"
    LATER = "later"
    FAILED = "failed"


@dataclass(frozen=True)
class Result:
    """What came of one case; *difference* is short and one line, empty where it passed."""

    id: str
    outcome: Outcome
    difference: str = ""


@dataclass(frozen=True)
class CaseFile:
    """One file.

    Attributes:
        kind: what it is about, such as ``nova/alias``; whose adapter is asked.
        cases: each with its ``id``, its input and ``expect``.
    """

    path: Path
    kind: str
    cases: tuple[Data, ...]


def find_files(directory: Path) -> Iterator[CaseFile]:
    """Find all files of that shape below *directory*, in the order of their names.

    A file of Neutron's says its kind; one of Nova's is named for it. Other files are passed over,
    but for those that cannot be read: nobody knows what they should have said.

    Raises:
        Broken: a file is no JSON, or one of its cases is none.
    """
    paths = [directory] if directory.is_file() else sorted(directory.rglob("*.json"))
    for path in paths:
        document = _document(path)
        if not isinstance(document, dict) or not isinstance(document.get("vectors"), list):
            continue
        kind = f"neutron/{document['kind']}" if "kind" in document else f"nova/{path.stem}"
        for number, one in enumerate(document["vectors"], 1):
            if not isinstance(one, dict) or not isinstance(one.get("id"), str):
                raise Broken(f"{path}: case {number} is not an object with an id")
        yield CaseFile(path, kind, tuple(document["vectors"]))


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise Broken(f"{where}: this is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise Broken(f"{path}: this is nested too deep") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise Broken(f"{path}:{line}: this is not UTF-8: {error.reason}") from error
    except OSError as error:
        raise Broken(f"{path}: {error.strerror}") from error
