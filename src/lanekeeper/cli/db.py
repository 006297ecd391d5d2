"""``lanekeeper db``: the database's upgrade, its health, its copies, and the way back from one."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.cloud import Cloud, connect
from lanekeeper.cli.database import (
    KIND_OF_FILE,
    Place,
    add_options,
    alone,
    file_kind,
    place_of,
    reading,
)
from lanekeeper.cli.verify import code_of, tell
from lanekeeper.clock import utc_now
from lanekeeper.control.restore import distrust_history
from lanekeeper.control.verify.finding import Finding
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.errors import Conflict, Invalid, NotFound, Unavailable
from lanekeeper.store.backup import (
    backup_write,
    check_file,
    copy_beside,
    discard,
    install,
    integrity,
)
from lanekeeper.store.database import Database, read_only
from lanekeeper.store.kind import Kind
from lanekeeper.store.schema import is_known, revision, upgrade

_ADOPT = "start the controller and the agents, then: lanekeeper db adopt"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``db`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("db", help="the database: upgrade, check, backup, restore, adopt")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("upgrade", help="bring the tables to this version's; controller stopped")
    add_options(up)
    up.set_defaults(handler=run_upgrade)
    check = verbs.add_parser("check", help="tables, file and rows; beside a running controller")
    add_options(check)
    check.add_argument("--json", action="store_true", help="findings as JSON")
    check.set_defaults(handler=run_check)
    backup = verbs.add_parser("backup", help="copy the database; beside a running controller")
    add_options(backup)
    backup.add_argument("file", type=Path, metavar="FILE", help="a new file; mode 0600")
    backup.set_defaults(handler=run_backup)
    restore = verbs.add_parser("restore", help="put a backup in place; controller stopped")
    add_options(restore)
    restore.add_argument("file", type=Path, metavar="FILE", help="what db backup has written")
    restore.set_defaults(handler=run_restore)
    freeze = verbs.add_parser(
        "freeze", help="after pg_restore: have no host obey before it was adopted"
    )
    add_options(freeze)
    freeze.set_defaults(handler=run_freeze)
    adopt = verbs.add_parser(
        "adopt", help="read frozen hosts back into the database; asks the running controller"
    )
    adopt.add_argument("--host", metavar="HOST", help="name or id; all frozen ones without")
    adopt.add_argument("--dry-run", action="store_true", help="say what would be done")
    adopt.add_argument("--json", action="store_true", help="as JSON")
    adopt.set_defaults(handler=run_adopt)


def run_upgrade(arguments: argparse.Namespace) -> int:
    """Bring the tables to this version's."""
    place = place_of(arguments)
    _check_there(place)
    with alone(place), Database(place.url) as database:
        done = upgrade(database.engine)
    print("the tables are this version's now" if done else "nothing to do")
    return exit_code.DONE


def run_check(arguments: argparse.Namespace) -> int:
    """Check the file, the revision and every invariant."""
    place = place_of(arguments)
    problems = []
    if place.file is not None:
        _check_there(place)
        problems = integrity(place.file)
    if problems:
        findings = [
            Finding(
                invariant="file", table="-", row=str(place.file), problem=problem,
                remedy="stop the controller, then: lanekeeper db restore BACKUP",
            )
            for problem in problems
        ]  # fmt: skip
    else:
        with reading(place) as connection:
            findings = verify(connection)
    tell(findings, as_json=arguments.json)
    return code_of(findings)


def run_backup(arguments: argparse.Namespace) -> int:
    """Copy a SQLite database, whoever works with it."""
    place, target = place_of(arguments), arguments.file.absolute()
    if place.file is None:
        raise Invalid(
            "PostgreSQL has its own tool for backups",
            hint=f"{_client(place, 'pg_dump', '--format=custom', f'--file={target}')}",
        )
    with reading(place):
        pass  # says what is wrong with it, before a copy is made of that
    backup_write(place.file, target)
    print(f"{target} holds the database of this moment")
    return exit_code.DONE


def run_restore(arguments: argparse.Namespace) -> int:
    """Check a backup, make it one that trusts nobody, and put it in place."""
    place, source = place_of(arguments), arguments.file.absolute()
    if place.file is None:
        restore = _client(place, "pg_restore", "--clean", "--if-exists", str(source))
        raise Invalid(
            "PostgreSQL has its own tool for that",
            hint=f"stop the controllers; {restore}; then: lanekeeper db freeze",
        )
    with _failing_disk(), alone(place):
        check_file(source)
        serves = _check_kind(source, place.file)
        place.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = copy_beside(source, place.file)
        try:
            hosts = _prepare(fresh, source)
            aside = _free_name(place.file)
            had_one = place.file.exists()
            install(fresh, place.file, aside)
        finally:
            discard(fresh)
    print(f"{place.file} is now what {source} holds; all tokens are void, {hosts} hosts are frozen")
    if had_one:
        print(f"the database before it is kept as {aside}")
    if serves == Kind.CONTROLLER:
        print(_ADOPT)
    return exit_code.DONE


def _check_kind(source: Path, place: Path) -> str:
    """What the backup is a database of, which must be what is there, or what the name says.

    Raises:
        Invalid: they are of different programs.
    """
    brought = file_kind(source)
    there = file_kind(place) if place.exists() else KIND_OF_FILE.get(place.name, "")
    if brought and there and brought != there:
        raise Invalid(
            f"{source} is a database of {brought}, and {place} one of {there}",
            hint=f"nothing was changed; restore it where {brought} keeps its own, or name a backup "
            f"of {there}",
        )
    return brought or there


def _prepare(fresh: Path, source: Path) -> int:
    """Bring a copy to this version's tables and have it distrust its own history."""
    with read_only(f"sqlite:///{fresh}") as connection:
        there = revision(connection)
    if there is None or not is_known(there):
        raise Invalid(
            f"{source} is not a database of this version or an earlier one (revision {there})",
            hint="restore it with the version that made it, or a later one",
        )
    now = utc_now()
    reason = f"the database was restored from {source.name} on {now:%Y-%m-%d %H:%M} UTC"
    with Database(f"sqlite:///{fresh}") as database:
        upgrade(database.engine)
        return database.write(lambda connection: distrust_history(connection, reason, now))


def run_freeze(arguments: argparse.Namespace) -> int:
    """Say to a database that it was set back by other means."""
    place = place_of(arguments)
    _check_there(place)
    now = utc_now()
    reason = f"the database was set back to an older state before {now:%Y-%m-%d %H:%M} UTC"
    with alone(place):
        with reading(place):
            pass
        with Database(place.url) as database:
            hosts = database.write(lambda connection: distrust_history(connection, reason, now))
    print(f"all tokens are void, {hosts} hosts are frozen; {_ADOPT}")
    return exit_code.DONE


def run_adopt(arguments: argparse.Namespace) -> int:
    """Have the controller read frozen hosts back."""
    cloud = connect()
    hosts = cloud.get("/lanekeeper/v1/hosts")["hosts"]
    if arguments.host:
        hosts = [cloud.find("/lanekeeper/v1/hosts", "hosts", arguments.host)]
    else:
        hosts = [host for host in hosts if host["frozen_reason"]]
    adoptions, refusals = _adopt_each(cloud, hosts, dry_run=arguments.dry_run)
    if arguments.json:
        print(json.dumps([*adoptions, *refusals], indent=2))
    elif not hosts:
        print("no host is frozen")
    else:
        for adoption in adoptions:
            _tell_adoption(adoption, dry_run=arguments.dry_run)
        for refusal in refusals:
            print(f"{refusal['host']} is not adopted: {refusal['refused']}")
    left = refusals or any(one["unknown"] for one in adoptions)
    return exit_code.NO if left else exit_code.DONE


def _adopt_each(
    cloud: Cloud, hosts: Sequence[Mapping[str, Any]], *, dry_run: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Ask for each host: one that cannot be read back now keeps none of the others."""
    adoptions: list[dict[str, Any]] = []
    refusals: list[dict[str, Any]] = []
    for host in hosts:
        try:
            answer = cloud.post(f"/lanekeeper/v1/hosts/{host['id']}/adopt", {"dry_run": dry_run})
        except (Conflict, NotFound) as error:
            refusals.append({"host": host["name"], "refused": str(error)})
        else:
            adoptions.append(answer["adoption"])
    return adoptions, refusals


def _tell_adoption(adoption: dict[str, Any], *, dry_run: bool) -> None:
    name = adoption["host"]
    counts = ", ".join(f"{len(adoption[kind])} {kind}" for kind in ("kept", "made", "lost"))
    print(f"{name} {'would obey' if dry_run else 'obeys'} again: {counts}")
    for kind, what in (
        ("made", "was unknown here, and is a server again"),
        ("lost", "has no guest any more: in ERROR, or gone where its end was ordered"),
    ):
        for server_id in adoption[kind]:
            print(f"  {server_id} {what}")
    for guest in adoption["unknown"]:
        aside = ", ".join(guest["devices"]) or "no device"
        print(f"  {guest['id']} runs there and stays unknown: {guest['reason']}")
        print(
            f"    set aside: {aside}; end the guest there (virsh undefine), then: lanekeeper "
            "device clean ID"
        )


@contextmanager
def _failing_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{error.filename}: {error.strerror}") from error


def _check_there(place: Place) -> None:
    """Make sure that a SQLite file is there; opening it would make it."""
    if place.file is not None and not place.file.is_file():
        raise Unavailable(
            f"there is no database at {place.file}",
            hint="name its directory with --state-dir, or its URL with --database-url-file",
        )


def _free_name(file: Path) -> Path:
    stamp = f"{utc_now():%Y%m%d-%H%M%S}"
    names = (f"{file.name}.before-{stamp}", *(f"{file.name}.before-{stamp}.{n}" for n in range(9)))
    return next(path for name in names if not (path := file.with_name(name)).exists())


def _client(place: Place, program: str, *arguments: str) -> str:
    """A command of PostgreSQL's for this database; the password is left to ~/.pgpass."""
    url = place.parsed
    asked = url.query  # where libpq looks for what does not stand in front of the question mark
    options = {
        "host": url.host or asked.get("host"),
        "port": url.port or asked.get("port"),
        "username": url.username or asked.get("user"),
        "dbname": url.database or asked.get("dbname"),
    }
    told = [f"--{name}={value}" for name, value in options.items() if value]
    return shlex.join([program, *told, *arguments])
