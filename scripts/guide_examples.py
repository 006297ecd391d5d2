"""Write docs/procedures/guide-examples.md from the examples that the tests run.

python scripts/guide_examples.py           write it
python scripts/guide_examples.py --check   exit 1 when it is stale
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from guides.example import GUIDES, Example, Guide, read_guide  # noqa: E402  # through the line above

PAGE = ROOT / "docs/procedures/guide-examples.md"
_TABLE = "tests/guides/test_configuration.py::test_an_example_as_it_is_printed"

_HEAD = """# What the guides print, and what it comes to here

Each example of the guides for a configuration file or a command line, as it is printed. The tests
of `tests/guides/` paste it into a file, or call what the command calls, on a machine such as the
guide has in mind, and hold the outcome against what the guide promises. What no parser takes is
refused at the start, with the line that is meant; `lanekeeper config convert` writes that line.

This page is made from the tests' own data by `scripts/guide_examples.py`. What guides do on hosts
stands on [the other pages](README.md).
"""


def page() -> str:
    """Return the page."""
    return _HEAD + "".join(part for name in GUIDES for part in _guide(name, read_guide(name)))


def _guide(name: str, guide: Guide) -> Iterator[str]:
    yield f"\n## {guide.title}\n\n{guide.about} Data: `tests/guides/{name}.toml`.\n"
    for one in guide.example:
        yield from _example(name, one)


def _example(name: str, one: Example) -> Iterator[str]:
    into = f", for `{one.file}`" if one.file else ""
    yield f"\n### {name}: {one.id}\n\n{one.place}{into}:\n\n"
    yield _code(one.text)
    if one.around != "{}":
        yield f"\ntried within\n\n{_code(one.around.replace('{}', '…'))}"
    if one.with_lines:
        yield f"\nbelow\n\n{_code(one.with_lines)}"
    yield f"\n* The guide: {one.promise}\n* Here: {one.here}\n"
    if one.refused:
        yield f"* A start says: `{one.refused}` …\n"
    if one.values:
        values = ", ".join(f"`{value}` for `{name}`" for name, value in one.values.items())
        yield f"* Then with {values}.\n"
    test = one.test or f"{_TABLE}[{name}-{one.id}]"
    yield f"* Test: `{test}`\n"
    if one.lines:
        lines = _code("\n".join(one.lines))
        yield f"\nMeant, named at the start, and written by `config convert`:\n\n{lines}"


def _code(text: str) -> str:
    lines = (line.replace("\u00a0", " ").rstrip() for line in text.strip("\n").split("\n"))
    return "".join(f"    {line}\n" if line else "\n" for line in lines)


def is_stale() -> bool:
    return not PAGE.exists() or PAGE.read_text() != page()


def main() -> int:
    if "--check" in sys.argv[1:]:
        if is_stale():
            print(f"{PAGE} is stale: run scripts/guide_examples.py")
        return int(is_stale())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
