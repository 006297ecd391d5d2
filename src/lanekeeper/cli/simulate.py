"""``lanekeeper simulate``: a fleet of hosts that do not exist, at a controller that does."""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.agent.fleet import Kind, Part
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.state_dir import StateDir
from lanekeeper.cli import logs
from lanekeeper.cli.cloud import Cloud, connect
from lanekeeper.cli.exit_code import DONE
from lanekeeper.cli.fleet_process import Fleet, Troubles, say
from lanekeeper.cli.host.captured import captured_text
from lanekeeper.cli.serving import until_told
from lanekeeper.cli.state_dir import owned
from lanekeeper.config import load
from lanekeeper.domain.errors import Invalid
from lanekeeper.host.simulated_shared import planted

HOSTS_MAX = 10_000
_PROCESSES_MAX = 64
_PER_PROCESS = 250
_AT_ONCE = 8
_TOKENS_AT_ONCE = 500
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,40}", re.ASCII)
_HOME = Path("/var/lib/lanekeeper/fleet")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``simulate``."""
    parser = subparsers.add_parser(
        "simulate",
        help="a fleet of simulated hosts at a running controller",
        description="Enrols simulated hosts with the controller that OS_CLOUD or an openrc names, "
        "runs their agents in a few processes, and has them suffer what --fail says. Prints "
        "'ready N hosts' and each failure; Ctrl-C or SIGTERM ends it. The hosts are then down, and "
        "go on where they were when it is started again with the same --state-dir. Exit code 0: "
        "ended as told. 2: wrong options or files. 3: the controller is away.",
    )
    parser.add_argument("--hosts", type=int, required=True, metavar="N", help=f"1 to {HOSTS_MAX}")
    parser.add_argument(
        "--tree",
        type=Path,
        action="append",
        default=[],
        metavar="CAPTURED",
        help="a captured machine that hosts look like, by turns where it repeats; the lab's host "
        "where unset",
    )
    parser.add_argument(
        "--fail",
        action="append",
        default=[],
        metavar="KIND:SECONDS",
        help="what happens each so many seconds on average, to a host by chance: kill (the process "
        "of its agent, and of its neighbours', ends at once), vanish (a device goes from its bus), "
        "link (a card's goes down), slow (its agent's words take long); repeats",
    )
    parser.add_argument(
        "--fail-lasts", type=float, default=30.0, metavar="SECONDS", help="until it is well (30)"
    )
    parser.add_argument("--seed", type=int, help="of the failures; told where unset")
    parser.add_argument("--for", type=float, dest="for_s", metavar="SECONDS", help="end by itself")
    parser.add_argument("--processes", type=int, metavar="N", help="one for 250 hosts where unset")
    parser.add_argument("--prefix", default="fleet", help="hosts are called PREFIX-1 to PREFIX-N")
    parser.add_argument("--state-dir", type=Path, default=_HOME, help=f"the fleet's own ({_HOME})")
    parser.add_argument(
        "--config-file",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="nova.conf: which devices the agents tell of; the sample where unset; repeats",
    )
    parser.add_argument(
        "--log-level", choices=logs.LEVELS, default="warning", help="of the agents (warning)"
    )
    parser.set_defaults(handler=run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command line, checked."""

    names: Sequence[str]
    processes: int
    troubles: Troubles
    for_s: float | None


def run(arguments: argparse.Namespace) -> int:
    """Run the fleet until SIGTERM, SIGINT, or its time is over."""
    asked = _asked(arguments)
    trees: list[str | None] = [captured_text(path) for path in arguments.tree]
    policy = Policy.of(load(arguments.config_file).config)
    home = arguments.state_dir.absolute()
    with until_told() as told, owned(home, "fleet"):
        cloud = connect()
        started = time.monotonic()
        patterns = [planted(home / f"pattern-{_mark(tree)}", tree) for tree in trees or [None]]
        parts = _parts(asked, cloud, home / "hosts", patterns, policy)
        with Fleet(parts, arguments.log_level, told) as fleet:
            count = f"{len(asked.names)} hosts in {len(parts)} processes"
            print(f"ready {count}, after {time.monotonic() - started:.1f} s", flush=True)
            if asked.troubles.every_s:
                say(f"failures by chance, --seed {asked.troubles.seed}")
            fleet.suffer(asked.troubles, told, asked.for_s)
            say(f"stopping {len(asked.names)} agents")
    return DONE


def _asked(arguments: argparse.Namespace) -> Asked:
    """Raises Invalid, naming the option."""
    if not 1 <= arguments.hosts <= HOSTS_MAX:
        raise Invalid(f"--hosts is 1 to {HOSTS_MAX}, not {arguments.hosts}")
    processes = arguments.processes or -(-arguments.hosts // _PER_PROCESS)
    if not 1 <= processes <= min(_PROCESSES_MAX, arguments.hosts):
        most = min(_PROCESSES_MAX, arguments.hosts)
        raise Invalid(f"--processes is 1 to {most} for {arguments.hosts} hosts, not {processes}")
    if not _PREFIX.fullmatch(arguments.prefix):
        raise Invalid(f"--prefix {arguments.prefix[:60]!r} is not letters, digits and hyphens")
    for option, seconds in (("--for", arguments.for_s), ("--fail-lasts", arguments.fail_lasts)):
        if seconds is not None and not 0 < seconds < float("inf"):
            raise Invalid(f"{option} is a number of seconds above 0, not {seconds}")
    seed = random.SystemRandom().getrandbits(32) if arguments.seed is None else arguments.seed
    return Asked(
        names=[f"{arguments.prefix}-{number}" for number in range(1, arguments.hosts + 1)],
        processes=processes,
        troubles=Troubles(dict(map(_failure, arguments.fail)), arguments.fail_lasts, seed),
        for_s=arguments.for_s,
    )


def _failure(text: str) -> tuple[Kind, float]:
    name, _, seconds = text.partition(":")
    try:
        kind, every_s = Kind(name), float(seconds)
    except ValueError:
        kind, every_s = None, 0.0
    if kind is None or not 0 < every_s < float("inf"):
        raise Invalid(
            f"--fail {text[:60]!r} is not KIND:SECONDS with one of {', '.join(Kind)} and a number "
            "above 0",
            hint="--fail kill:60 ends agents at once, each minute on average",
        )
    return kind, every_s


def _mark(tree: str | None) -> str:
    """Another name for another tree, so that hosts are like the one that is given now."""
    import hashlib

    return "lab" if tree is None else hashlib.sha256(tree.encode()).hexdigest()[:16]


def _parts(
    asked: Asked, cloud: Cloud, hosts: Path, patterns: Sequence[Path], policy: Policy
) -> list[Part]:
    """Share the hosts out, with tokens for the new ones."""
    cacert = cloud.login.cacert
    authority = Path(cacert).read_text("ascii") if cacert else None
    tokens = _tokens(cloud, [name for name in asked.names if not _is_known(hosts / name)])
    like = {name: patterns[place % len(patterns)] for place, name in enumerate(asked.names)}
    shares = [asked.names[first :: asked.processes] for first in range(asked.processes)]
    return [
        Part(
            patterns={name: like[name] for name in share},
            tokens={name: tokens[name] for name in share if name in tokens},
            hosts_dir=hosts,
            controller=cloud.login.base_url,
            policy=policy,
            authority=authority,
            starters=max(1, _AT_ONCE // asked.processes),
        )
        for share in shares
    ]


def _is_known(home: Path) -> bool:
    return home.is_dir() and StateDir(home).is_enrolled()


def _tokens(cloud: Cloud, names: Sequence[str]) -> Mapping[str, str]:
    tokens: dict[str, str] = {}
    if names:
        say(f"enrolling {len(names)} new hosts at {cloud.login.base_url}")
    for first in range(0, len(names), _TOKENS_AT_ONCE):
        some = names[first : first + _TOKENS_AT_ONCE]
        made = cloud.post("/lanekeeper/v1/enrolments", {"host_names": list(some)})["tokens"]
        tokens |= {name: str(made[name]) for name in some}
    return tokens
