"""Write docs/reference/config-findings.md from the doctor's table of rules.

python scripts/config_findings.py           write it
python scripts/config_findings.py --check   exit 1 when it is stale
"""

from __future__ import annotations

import sys
from pathlib import Path

from lanekeeper.config.doctor.finding import Rule
from lanekeeper.config.doctor.table import CHAPTERS, RULES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/reference/config-findings.md"

_HEAD = f"""# Findings about configuration files

What `lanekeeper config check` can say: {len(RULES)} findings. An id is a contract: added, never
changed. *Error*: a start is refused, or what was meant cannot happen. *Warning*: something is dead,
old, contradictory, or means something else to Nova or Neutron. *Info*: worth knowing.

Each has an example that shows it and one that does not. This page is made from the rules by
`scripts/config_findings.py`; how to use the command stands in
[Checking configuration files](../operators/configuration.md).
"""

_HOST = """
With `--host` or `--root`. The examples are about a host with these devices:

| address | ids | what it is |
| --- | --- | --- |
| 0000:00:1c.0 | 8086:a110 | a bridge |
| 0000:01:00.0 | 144d:a804 | an NVMe drive, mounted on / |
| 0000:02:00.0 | 8086:1533 | eno1, which has the default route |
| 0000:05:00.0 | 8086:0a54 | an NVMe drive, not mounted |
| 0000:3b:00.0 | 8086:10c9 | ens1f0, a PF with two VFs |
| 0000:3b:00.1 | 8086:10c9 | ens1f1, a PF without VFs |
| 0000:3b:10.0, 0000:3b:10.2 | 8086:10ca | those VFs |
"""


def page() -> str:
    """Return the reference page."""
    parts = [_HEAD]
    for title, rules in CHAPTERS:
        parts.append(f"\n## {title}\n")
        if all(rule.needs_host for rule in rules):
            parts.append(_HOST)
        parts += [_rule(rule) for rule in rules]
    return "".join(parts)


def _rule(rule: Rule) -> str:
    return (
        f"\n### {rule.id}\n\n*{str(rule.severity).capitalize()}.* {rule.what}\n\n"
        f"Shows it:\n\n{_code(rule.shows)}\nDoes not:\n\n{_code(rule.spares)}"
    )


def _code(text: str) -> str:
    """Indent *text*; what cannot be seen is written as an escape."""
    lines = text.removeprefix("bytes:").replace("\r", "\\r").splitlines()
    return "".join(f"    {_visible(line)}\n" for line in lines)


def _visible(line: str) -> str:
    unseen = ("\ufeff", "\u3000")
    return "".join(f"\\u{ord(c):04x}" if c in unseen else c for c in line).rstrip()


def is_stale() -> bool:
    return not PAGE.exists() or PAGE.read_text() != page()


def main() -> int:
    if "--check" in sys.argv[1:]:
        if is_stale():
            print(f"{PAGE} is stale: run scripts/config_findings.py")
        return int(is_stale())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
