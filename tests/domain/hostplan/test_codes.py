"""Every code of a refusal or a warning stands where operators look it up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs/reference/host-policy.md"
SOURCES = ("src/lanekeeper/domain/hostplan", "src/lanekeeper/host")


def codes(tree: ast.AST) -> Iterator[str]:
    """Yield each code that is written out where a refusal or a warning is made."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Name(id="Refusal" | "Caution"), args=[ast.Constant(value=str(code)), *_]
            ):
                yield code


def test_every_code_is_in_the_reference() -> None:
    files = (file for source in SOURCES for file in (ROOT / source).rglob("*.py"))
    made = {code for file in files for code in codes(ast.parse(file.read_text("utf-8")))}
    assert len(made) > 20
    text = REFERENCE.read_text("utf-8")
    assert sorted(code for code in made if f"`{code}`" not in text) == []
