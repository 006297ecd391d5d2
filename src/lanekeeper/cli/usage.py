"""``lanekeeper usage``: how long projects had servers and devices."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.cloud import connect
from lanekeeper.cli.table import table

_OF_SERVERS = {
    "server_hours": "servers",
    "vcpu_hours": "VCPUs",
    "memory_mib_hours": "MiB of memory",
    "disk_gib_hours": "GiB of disk",
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; its handler is ``handler`` of the result."""
    parser = subparsers.add_parser(
        "usage",
        help="how long projects had servers and devices, in hours",
        description="Servers count from their guest's first start to their end, devices from the "
        "claim to the release. Admins see all projects, others their own.",
    )
    parser.add_argument("--project", metavar="P", help="of this one alone, by name or id")
    parser.add_argument(
        "--start",
        metavar="WHEN",
        help="a day or moment, in UTC (default: 4 weeks before the end)",
    )
    parser.add_argument("--end", metavar="WHEN", help="as --start (default: now)")
    parser.add_argument("--json", action="store_true", help="print what the controller answers")
    parser.set_defaults(handler=run)


def run(parsed: argparse.Namespace) -> int:
    """Ask the controller and print what it says."""
    query = {
        key: value
        for key in ("project", "start", "end")
        if (value := getattr(parsed, key)) is not None
    }
    answer = connect().get("/lanekeeper/v1/usage", **query)
    print(json.dumps(answer, indent=2) if parsed.json else usage_text(answer))
    return exit_code.DONE


def usage_text(answer: Any) -> str:
    """What people read: the time, then for each project what it had, and for how many hours."""
    rows = [
        (one["project_name"] or one["project_id"], what, f"{hours:.2f}")
        for one in answer["projects"]
        for what, hours in _lines(one)
    ]
    start, end = (answer[key][:19].replace("T", " ") for key in ("start", "end"))
    return f"from {start} to {end} (UTC)\n{table(('project', 'what', 'hours'), rows)}"


def _lines(one: Any) -> list[tuple[str, float]]:
    of_servers = [(what, one[key]) for key, what in _OF_SERVERS.items() if one["servers"]]
    devices = [(f"class:{name}", hours) for name, hours in sorted(one["devices"].items())]
    aliases = [(f"alias:{name}", hours) for name, hours in sorted(one["aliases"].items())]
    return [*of_servers, *devices, *aliases]
