"""What was ordered of hosts: generations and marks that agree."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.control.verify.finding import BUG, Finding
from lanekeeper.store.records import Records


def generations_are_sane(records: Records) -> Iterator[Finding]:
    """The present mark is among those given out, none is younger, and none obeyed is either."""
    marks = {(row["host_id"], row["generation"]): row["mark"] for row in records.desired_mark}
    newest = {row["host_id"]: row["generation"] for row in records.desired_mark}  # in their order
    for host in records.host:
        now = host["generation"]
        obeyed, dot, _ = host["obeyed"].partition(".")
        if now < 1:
            problem = f"its generation is {now}"
        elif host["mark"] and marks.get((host["id"], now)) != host["mark"]:
            problem = f"generation {now} has mark {host['mark']}, which was not given out"
        elif newest.get(host["id"], 0) > now:
            problem = f"generation {newest[host['id']]} was given out, and {now} is the present one"
        elif host["obeyed"] and not (dot and obeyed.isdigit() and int(obeyed) <= now):
            problem = f"its agent has obeyed {host['obeyed']}, and {now} is the present generation"
        else:
            continue
        yield Finding(
            invariant="host.generation", table="host", row=host["id"],
            problem=f"{host['name']}: {problem}", remedy=BUG,
        )  # fmt: skip


def marks_have_their_host(records: Records) -> Iterator[Finding]:
    """Marks are of hosts that are there."""
    hosts = records.by_id("host")
    for row in records.desired_mark:
        if row["host_id"] not in hosts:
            yield Finding(
                invariant="mark.host", table="desired_mark",
                row=f"{row['host_id']}/{row['generation']}",
                problem=f"its host {row['host_id']} is not there", remedy=BUG,
            )  # fmt: skip
