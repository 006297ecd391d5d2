"""``lanekeeper explain``: where a server would go, or why one is where it is."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.cloud import Cloud, connect
from lanekeeper.cli.question import add_question, question_body
from lanekeeper.domain.errors import Conflict


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; its handler is ``handler`` of the result."""
    parser = subparsers.add_parser(
        "explain",
        help="say where a server would go, or why one is where it is",
        description="Exit code 0: a host fits, or the server has one. 1: none does; or the server "
        "is not there or not yours to see. 2: wrong use, or a flavor, image, port, zone or host "
        "that does not exist. What is wrong is said on stderr. 3: the controller does not answer.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--flavor", metavar="F", help="a server of this flavor, by name or id")
    what.add_argument("--server", metavar="S", help="this server, by name or id")
    add_question(parser)
    parser.add_argument(
        "--project",
        metavar="P",
        help="... of this project, by name or id: its quotas count; for admins",
    )
    parser.add_argument("--json", action="store_true", help="print what the controller answers")
    parser.set_defaults(handler=run)


def run(parsed: argparse.Namespace) -> int:
    """Ask the controller and print what it says."""
    cloud = connect()
    if parsed.server:
        answer = _server(cloud, parsed.server)
    else:
        body = {**question_body(cloud, parsed), "project": parsed.project}
        answer = cloud.post("/lanekeeper/v1/explain", body)
    if parsed.json:
        print(json.dumps(answer, indent=2))
    else:
        print("\n".join(answer_text(answer)))
    return exit_code.DONE if answer["fits"] else exit_code.NO


def _server(cloud: Cloud, wanted: str) -> Any:
    found = cloud.get("/compute/v2.1/servers", name=f"^{re.escape(wanted)}$")["servers"]
    ids = [server["id"] for server in found if server["name"] == wanted]
    if len(ids) > 1:
        raise Conflict(f"{len(ids)} servers are called {wanted!r}", hint="name one by its id")
    server_id = ids[0] if ids else wanted
    return cloud.get(f"/lanekeeper/v1/servers/{server_id}/explain")


def _whom(host: Any) -> str:
    names, more = host["hosts"], host["count"] - len(host["hosts"])
    if not names:  # a member is told none
        return f"{host['count']} of the hosts"
    return ", ".join(names) + (f" and {more} more" if more else "")


def _place_text(host: Any) -> str:
    devices = f" with {', '.join(host['devices'])}" if host["devices"] else ""
    cells = f" on NUMA cell {', '.join(map(str, host['cells']))}" if host["cells"] else ""
    return devices + cells


def answer_text(answer: Any) -> Iterator[str]:
    """What people read: the summary, then each host with what stands against it."""
    yield answer["summary"]
    for host in answer["hosts"]:
        name = _whom(host)
        if host["rank"] is not None:
            yield f"  {name}: fits, choice {host['rank']}{_place_text(host)}"
            continue
        for verdict in host["verdicts"]:
            yield f"  {name}: {verdict['reason']} ({verdict['filter']})"
            yield f"    what would help: {verdict['remedy']}"
