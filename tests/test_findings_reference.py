import sys
from pathlib import Path

from lanekeeper.domain.hostplan.findings.check import KINDS

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import findings_reference  # noqa: E402  # a script, found through the line above


def test_the_page_is_what_the_rules_say() -> None:
    assert not findings_reference.is_stale()


def test_every_kind_has_a_section_that_its_link_leads_to() -> None:
    page = findings_reference.reference()
    for kind in KINDS:
        assert page.count(f"\n### {kind.id}\n") == 1
