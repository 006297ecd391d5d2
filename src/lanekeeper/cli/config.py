"""``lanekeeper config``: say what operators' files mean and what is wrong; convert them."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lanekeeper.cli import config_view as view
from lanekeeper.cli import exit_code
from lanekeeper.cli.host import planted
from lanekeeper.config import sample_path
from lanekeeper.config.doctor.examine import Examined, examine
from lanekeeper.config.doctor.host import Host
from lanekeeper.domain.hostplan.findings import Severity
from lanekeeper.host.disk import read_mounted
from lanekeeper.host.facts import read_host


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``config`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("config", help="check and convert configuration files")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    text = "say what the files mean, and every mistake in them; change nothing"
    check = verbs.add_parser("check", help=text, description=text, epilog=view.EXIT_CODES)
    check.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="none: the shipped sample"
    )
    where = check.add_mutually_exclusive_group()
    where.add_argument(
        "--root", type=Path, metavar="DIR_OR_FILE", help="against a captured machine"
    )
    where.add_argument("--host", action="store_true", help="against this machine")
    check.add_argument("--strict", action="store_true", help="let warnings count as errors")
    check.add_argument("--quiet", action="store_true", help="findings only")
    check.add_argument("--json", action="store_true", help="as JSON")
    check.set_defaults(handler=run_check)


def run_check(parsed: argparse.Namespace) -> int:
    """Print what the files mean and every finding."""
    with _host(parsed) as host:
        examined = examine(parsed.files or [sample_path()], host)
    if parsed.json:
        print(json.dumps(view.check_json(examined), indent=2))
    else:
        print("\n".join(view.check_text(examined, quiet=parsed.quiet)))
    return _code(examined, strict=parsed.strict)


def _code(examined: Examined, *, strict: bool) -> int:
    if examined.unreadable:
        return exit_code.USAGE
    is_wrong = examined.has(Severity.ERROR) or (strict and examined.has(Severity.WARNING))
    return exit_code.NO if is_wrong else exit_code.DONE


@contextmanager
def _host(parsed: argparse.Namespace) -> Iterator[Host | None]:
    """Read the host that the files are held against; None where there is none."""
    if parsed.host:
        yield _read(Path("/"), "this host")
    elif parsed.root is None:
        yield None
    elif parsed.root.is_dir():
        yield _read(parsed.root, str(parsed.root))
    else:
        with tempfile.TemporaryDirectory(prefix="lanekeeper-tree-") as directory:
            yield _read(planted(parsed.root, Path(directory)), str(parsed.root))


def _read(root: Path, name: str) -> Host:
    return Host(name, read_host(root), read_mounted(root))
