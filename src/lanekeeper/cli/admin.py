"""``lanekeeper admin``: what only somebody on the controller's machine may do."""

from __future__ import annotations

import argparse

from lanekeeper.cli import exit_code
from lanekeeper.cli.database import add_options, alone, place_of, reading
from lanekeeper.clock import utc_now
from lanekeeper.control.identity.password_reset import reset_password
from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.database import Database


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``admin`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("admin", help="on the controller's machine: lost passwords")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    reset = verbs.add_parser(
        "reset-password", help="give a user a new password, in a file; controller stopped"
    )
    add_options(reset)
    reset.add_argument("--user", default="admin", metavar="NAME", help="whose (admin)")
    reset.set_defaults(handler=run_reset_password)


def run_reset_password(arguments: argparse.Namespace) -> int:
    """Give a user a new password and say where it is; never what it is."""
    place = place_of(arguments)
    if not place.state_dir.is_dir():
        raise Unavailable(
            f"there is no directory {place.state_dir}", hint="name the controller's: --state-dir"
        )
    with alone(place):
        with reading(place):
            pass  # a database that is not there is not made
        with Database(place.url) as database:
            done = reset_password(database, place.state_dir, arguments.user, utc_now())
    print(f"the new password of {arguments.user} is in {done.file}; all tokens before it are void")
    if done.in_cloud:
        print("clouds.yaml and openrc beside it have it, too")
    if not done.enabled:
        print("the user is disabled: openstack user set --enable")
    return exit_code.DONE
