import re
import sys
from pathlib import Path

from lanekeeper.config import Config, load

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import config_findings  # noqa: E402  # scripts, found through the line above
import config_reference  # noqa: E402


def test_the_pages_are_what_the_types_say() -> None:
    assert config_reference.stale() == []


def test_every_default_of_the_sample_is_the_trees(tmp_path: Path) -> None:
    path = tmp_path / "nova.conf"
    path.write_text(re.sub(r"^#(\w+ = \S)", r"\1", config_reference.sample(), flags=re.MULTILINE))
    assert path.read_text().count("\n#") < config_reference.sample().count("\n#")
    loaded = load([path])
    assert loaded.config == Config()
    assert loaded.warnings == ()


def test_the_page_of_findings_is_what_the_rules_say() -> None:
    assert not config_findings.is_stale()
