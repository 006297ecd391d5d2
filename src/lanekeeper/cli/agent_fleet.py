"""Agents from the controller's side: who is there, tokens for new ones, an end for others."""

from __future__ import annotations

import argparse
import json
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.cloud import connect
from lanekeeper.cli.table import table


def register_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verbs that ask a controller, as its admin."""
    token = verbs.add_parser("token", help="make a one-time enrolment token, good for an hour")
    token.add_argument("--host-name", default="", help="only this host can use it")
    token.set_defaults(handler=make_token)
    listing = verbs.add_parser("list", help="list hosts and what their agents say")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(handler=list_agents)
    revoke = verbs.add_parser("revoke", help="let a host's agent in no more; guests run on")
    revoke.add_argument("host", metavar="HOST", help="name or id")
    revoke.set_defaults(handler=revoke_agent)


def make_token(arguments: argparse.Namespace) -> int:
    """Print the token alone, so that a script can take it."""
    made = connect().post("/lanekeeper/v1/enrolments", {"host_name": arguments.host_name})
    print(made["token"])
    return exit_code.DONE


def list_agents(arguments: argparse.Namespace) -> int:
    """Print one row a host; what agents have set aside stands below."""
    hosts = connect().get("/lanekeeper/v1/hosts")["hosts"]
    if arguments.json:
        print(json.dumps(hosts, indent=2))
        return exit_code.DONE
    print(table(("host", "state", "last heard", "agent", "obeyed"), [_row(host) for host in hosts]))
    for host in hosts:
        for problem in (_credential(host), host["frozen_reason"], *host["problems"]):
            if problem:
                print(f"{host['name']}: {problem}")
    return exit_code.DONE


def _credential(host: dict[str, Any]) -> str:
    """What is wrong with how the agent is let in, and what would help; mostly nothing."""
    enrol = f"lanekeeper agent token --host-name {host['name']}, then there: agent enroll"
    if host["revoked"]:
        return f"its credential was revoked; to let it in again: {enrol}"
    if host["refused_at"]:
        return f"refused at {host['refused_at']}: the credential is not this host's; {enrol}"
    return ""


def _row(host: dict[str, Any]) -> tuple[str, ...]:
    state = "frozen" if host["frozen_reason"] else "up" if host["alive"] else "down"
    if host["revoked"]:
        state += ", revoked"
    elif host["refused_at"]:
        state += ", refused"
    if not host["enabled"]:
        state += ", disabled"
    obeyed = "all" if host["obeyed"] == host["wanted"] else host["obeyed"] or "nothing yet"
    return host["name"], state, host["seen_at"] or "never", host["agent_version"], obeyed


def revoke_agent(arguments: argparse.Namespace) -> int:
    """Make a host's credential worth nothing, at once."""
    cloud = connect()
    host = cloud.find("/lanekeeper/v1/hosts", "hosts", arguments.host)
    cloud.post(f"/lanekeeper/v1/hosts/{host['id']}/revoke")
    print(
        f"the agent of {host['name']} is let in no more; to let it in again:\n"
        f"  lanekeeper agent token --host-name {host['name']}   # then, there: agent enroll"
    )
    return exit_code.DONE
