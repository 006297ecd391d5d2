"""``lanekeeper capacity``: how many more servers of one kind fit, where, and what runs out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.cloud import connect
from lanekeeper.cli.question import add_question, question_body
from lanekeeper.domain.errors import Invalid
from lanekeeper.host.policy_file import read_policy
from lanekeeper.host.strict_yaml import Document

_MOST = 1000


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command; its handler is ``handler`` of the result."""
    parser = subparsers.add_parser(
        "capacity",
        help="count how many more servers of a flavor fit, where, and what runs out first",
        description="Creates such servers in memory, one after the other, by the scheduler's own "
        "filters and choices. A --port is a pattern: each server has one like it. For admins. "
        "Exit code 0: one fits at least. 1: none does. 2: wrong use, or something that does not "
        "exist. 3: the controller does not answer.",
    )
    parser.add_argument(
        "--flavor", metavar="F", required=True, help="servers of this flavor, by name or id"
    )
    add_question(parser)
    parser.add_argument(
        "--project",
        metavar="P",
        help="servers of this project, by name or id: its quotas count, too",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="HOST",
        help="think this host away, with what it has; repeats",
    )
    parser.add_argument(
        "--with-policy",
        type=Path,
        metavar="FILE",
        help="think this host policy applied, to every host that has what it selects",
    )
    parser.add_argument(
        "--on",
        action="append",
        default=[],
        metavar="HOST",
        help="... to this host alone; repeats",
    )
    parser.add_argument(
        "--most", type=int, default=_MOST, metavar="N", help=f"stop there (default: {_MOST})"
    )
    parser.add_argument("--json", action="store_true", help="print what the controller answers")
    parser.set_defaults(handler=run)


def run(parsed: argparse.Namespace) -> int:
    """Ask the controller and print what it says."""
    if parsed.on and parsed.with_policy is None:
        raise Invalid(
            "--on names hosts for --with-policy, which is not given",
            hint="a server for one host is --host",
        )
    policy = policy_document(parsed.with_policy) if parsed.with_policy is not None else None
    cloud = connect()
    body = {
        **question_body(cloud, parsed),
        "project": parsed.project,
        "without": parsed.without,
        "policy": policy,
        "policy_hosts": parsed.on,
        "most": parsed.most,
    }
    answer = cloud.post("/lanekeeper/v1/capacity", body)
    print(json.dumps(answer, indent=2) if parsed.json else "\n".join(answer_text(answer)))
    return exit_code.DONE if answer["count"] else exit_code.NO


def policy_document(path: Path) -> Any:
    """Read a host policy as plain values.

    Raises:
        Invalid: it is wrong; the message names file and line of all that is.
    """
    return Document(read_policy(path).text).value


def answer_text(answer: Any) -> Iterator[str]:
    """What people read: the summary, then each host with what it takes and why no more."""
    yield answer["summary"]
    for note in answer["supposed"]:
        yield f"  supposed: {note}"
    for bound in answer["bounds"]:
        yield f"  {bound['count']} and no more: {_why(bound['limit'])}"
    for host in answer["hosts"]:
        limit = host["limit"]
        why = f"then {_why(limit)}" if limit else "counting stopped here"
        yield f"  {host['host']}: {host['count']}; {why}"
    for one in answer["shut"]:
        more = one["count"] - len(one["hosts"])
        names = ", ".join(one["hosts"]) + (f" and {more} more" if more else "")
        yield f"  {names}: 0; {_why(one['limit'])}"


def _why(limit: Any) -> str:
    return f"{limit['reason']} ({limit['filter']})"
