"""Services that were enabled in the lab host, started at each boot in the order they ask for.

There is no systemd in it. What ``multi-user.target`` wants is started; of a unit, ``After=``,
``Before=``, ``Type=`` and ``ExecStart=`` count, whatever else it says is for a real host.

Source: systemd.unit(5), systemd.service(5), systemd.syntax(7).
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from threading import Thread

WANTS = Path("/etc/systemd/system/multi-user.target.wants")
LOG = Path("/run/lab/units.log")
ONESHOT_TIMEOUT_S = 600
_FAILED_TO_START = 203  # systemd.exec(5), EXIT_EXEC

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Unit:
    """One service. *is_oneshot*: others wait for its end; else for its start alone."""

    name: str
    after: frozenset[str]
    before: frozenset[str]
    is_oneshot: bool
    commands: tuple[str, ...]


def parse(name: str, text: str) -> Unit:
    """Read what counts of a unit file; an empty value forgets those before it."""
    values: dict[str, list[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        key, sign, value = line.strip().partition("=")
        if not sign or key.startswith(("#", ";", "[")):
            continue
        if value.strip():
            values.setdefault(key.strip(), []).append(value.strip())
        else:
            values.pop(key.strip(), None)
    return Unit(
        name,
        frozenset(word for value in values.get("After", ()) for word in value.split()),
        frozenset(word for value in values.get("Before", ()) for word in value.split()),
        values.get("Type", [""])[-1] == "oneshot",
        tuple(values.get("ExecStart", ())),
    )


def in_order(units: Iterable[Unit]) -> list[Unit]:
    """Return *units* in the order in which they start; by name where they do not care.

    Raises:
        graphlib.CycleError: they wait for one another.
    """
    known = {unit.name: unit for unit in sorted(units, key=lambda unit: unit.name)}
    earlier: dict[str, set[str]] = {name: set(unit.after) for name, unit in known.items()}
    for name, unit in known.items():
        for later in unit.before & known.keys():
            earlier[later].add(name)
    waits = {name: sorted(names & known.keys()) for name, names in earlier.items()}
    return [known[name] for name in TopologicalSorter(waits).static_order()]


def start_all(say: Say, wants: Path = WANTS) -> None:
    """Start what is enabled; a unit that cannot be started is said and stops no other."""
    texts = {path.name: _text(path, say) for path in sorted(wants.glob("*.service"))}
    units = [parse(name, text) for name, text in texts.items() if text is not None]
    try:
        units = in_order(units)
    except CycleError as error:
        say(f"LAB-WARN units wait for one another: {' '.join(error.args[1])}; taken by name")
    for unit in units:
        _start(unit, say)


def _text(path: Path, say: Say) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        say(f"LAB-WARN {path.name}: {error}")
        return None


def _start(unit: Unit, say: Say) -> None:
    for command in unit.commands:
        may_fail = command.startswith("-")
        code = _run(unit, shlex.split(command.lstrip("-@:+!")))
        if code and not may_fail:
            say(f"LAB-WARN {unit.name} ended with {code}: see {LOG}")
            return


def _run(unit: Unit, argv: list[str]) -> int:
    """Run to the end, or leave running what is no oneshot; return the exit code."""
    with LOG.open("ab") as log:
        log.write(f"== {unit.name}: {shlex.join(argv)}\n".encode())
        log.flush()
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            log.write(f"{error}\n".encode())
            return _FAILED_TO_START
        if not unit.is_oneshot:
            Thread(target=child.wait, daemon=True).start()  # else it stays a zombie
            return 0
        try:
            code = child.wait(ONESHOT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        log.write(f"== {unit.name}: ended with {code}\n".encode())
        return code
