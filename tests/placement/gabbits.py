"""Finds Placement's own tests in the environment that has Placement, and runs a file of them."""

from __future__ import annotations

import unittest
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from gabbi import handlers, suitemaker

ROOT = Path(__file__).parents[2]
_WHERE = ".venv-placement/lib/python3*/site-packages/placement/tests/functional/gabbits"
FOUND = sorted(ROOT.glob(_WHERE))
FILES = sorted(FOUND[-1].glob("*.yaml")) if FOUND else []


@dataclass(frozen=True, slots=True)
class File:
    """One file of tests, read."""

    path: Path
    fixture: str
    content: dict[str, Any] = field(repr=False)

    @property
    def tests(self) -> list[dict[str, Any]]:
        tests: list[dict[str, Any]] = self.content["tests"]
        return tests


def read(path: Path, mount: str = "") -> File:
    """Read a file of tests; links in bodies are expected to begin with *mount*."""
    content = yaml.safe_load(path.read_text("utf-8"))
    (fixture,) = content.pop("fixtures")
    for test in content["tests"]:
        told = test.get("response_json_paths", {})
        for key, value in told.items():
            if "href" in key and str(value).startswith("/"):
                told[key] = f"{mount}{value}"
    return File(path, fixture, content)


@dataclass(slots=True)
class Outcome:
    """What became of a file's tests.

    Attributes:
        refused: name of each test that did not pass, and why.
    """

    passed: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def run(file: File, host: str, port: int, prefix: str) -> Outcome:
    """Run every test of a file, in order, against a server."""
    # Reading the system's certificates takes longer than the request, and there is no TLS here.
    defaults = {**file.content.get("defaults", {}), "cert_validate": False}
    suite = suitemaker.test_suite_from_dict(
        unittest.TestLoader(),
        file.path.stem,
        {**file.content, "defaults": defaults},
        str(file.path.parent),
        host,
        port,
        None,
        None,
        prefix=prefix,
        handlers=[handler() for handler in handlers.RESPONSE_HANDLERS],
    )
    tests = list(suite)
    outcome = Outcome()
    for test, source in zip(tests, file.tests, strict=True):
        result = unittest.TestResult()
        test(result)
        problems = [told for _, told in (*result.failures, *result.errors, *result.skipped)]
        if problems or not result.wasSuccessful() or result.expectedFailures:
            outcome.refused[source["name"]] = "\n".join(problems) or "not as it should be"
        else:
            outcome.passed += 1
    for test in tests:
        test.http.client.close()
    return outcome
