"""Write docs/reference/findings.md from the doctor's table of rules.

python scripts/findings_reference.py           write it
python scripts/findings_reference.py --check   exit 1 when it is stale
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from lanekeeper.domain.hostplan.findings.check import CHAPTERS, KINDS
from lanekeeper.domain.hostplan.findings.finding import PAGE, Kind, Severity
from lanekeeper.domain.hostplan.findings.policy import KINDS as POLICY_KINDS

ROOT = Path(__file__).parent.parent
PATH = ROOT / PAGE

_HEAD = """# Findings

What `lanekeeper host check` may say of a host: {count} findings. Each carries its id, a severity,
the subject (an address, a node, a file, or `host`), one sentence, the evidence (the file, the line,
the value it was read from), the consequence, and a fix: a command, or a line of the
[policy](host-policy.md). `--json` has the same fields. Ids are stable: added, never changed. The
exit code is 1 when one of them is an error.

| severity | means |
| --- | --- |
| error | no device, or not this one, can be given to guests |
| warning | it works, less well or less safely than it could, or not for long |
| info | worth knowing |
| ok | looked at, and well |

A function that cannot be read, or says what makes no sense, is set aside and named; everything
else is looked at all the same. What a host does not have is no finding. What only programs say is
asked of them where they are installed: devlink, mstconfig, ovs-vsctl, QEMU and libvirt.

This page is made by `scripts/findings_reference.py`.
"""


def reference() -> str:
    """Return the page."""
    parts = [_HEAD.format(count=len(KINDS))]
    for title, rules in CHAPTERS.items():
        kinds = [kind for rule in rules for kind in rule.kinds]
        parts += [f"\n## {title}\n", *_sections(kinds)]
    parts += ["\n## The policy\n", *_sections(POLICY_KINDS)]
    return "".join(parts)


def _sections(kinds: Iterable[Kind]) -> Iterator[str]:
    for kind in kinds:
        yield f"\n### {kind.id}\n\n**{kind.severity}**: {kind.meaning}\n"
        if kind.severity is not Severity.OK:
            yield f"\n{kind.consequence}\n"
        if kind.fix:
            yield f"\nFix: {kind.fix}.\n"


def is_stale() -> bool:
    """Whether the page is not what the rules say."""
    return not PATH.exists() or PATH.read_text() != reference()


def main() -> int:
    if "--check" in sys.argv[1:]:
        if is_stale():
            print(f"{PATH} is stale: run scripts/findings_reference.py")
        return int(is_stale())
    PATH.write_text(reference())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
