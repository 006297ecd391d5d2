"""Write docs/reference/host-policy.schema.json from the parser's own tables.

python scripts/policy_schema.py            writes it
python scripts/policy_schema.py --check    says whether it is up to date
"""

import json
import sys
from pathlib import Path

from lanekeeper.domain.hostplan.policy.schema import schema

FILE = Path(__file__).parents[1] / "docs/reference/host-policy.schema.json"


def main() -> int:
    text = json.dumps(schema(), indent=2) + "\n"
    if "--check" in sys.argv[1:]:
        return 0 if FILE.is_file() and FILE.read_text() == text else 1
    FILE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
