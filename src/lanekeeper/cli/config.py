"""``lanekeeper config``: say what operators' files mean and what is wrong; convert them."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lanekeeper.cli import config_view as view
from lanekeeper.cli import exit_code
from lanekeeper.cli.host.captured import machine_at
from lanekeeper.config import load, sample_path
from lanekeeper.config.doctor.convert import convert
from lanekeeper.config.doctor.examine import Examined, examine
from lanekeeper.config.doctor.finding import Finding
from lanekeeper.config.doctor.host import Host
from lanekeeper.config.doctor.source import Source
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.findings.finding import Severity
from lanekeeper.host.disk import read_mounted
from lanekeeper.host.facts import read_host

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


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
    text = "write the files in today's form: nova.conf, ml2_conf.ini, sriov_agent.ini"
    converting = verbs.add_parser("convert", help=text, description=text)
    converting.add_argument("files", nargs="+", type=Path, metavar="FILE")
    converting.add_argument(
        "--output", type=Path, metavar="DIR", help="write them there, over no other; else print"
    )
    converting.set_defaults(handler=run_convert)


def run_check(parsed: argparse.Namespace) -> int:
    """Print what the files mean and every finding."""
    with _host(parsed) as host:
        examined = examine(parsed.files or [sample_path()], host)
    if parsed.json:
        print(json.dumps(view.check_json(examined), indent=2))
    else:
        print("\n".join(view.check_text(examined, quiet=parsed.quiet)))
    return _code(examined, strict=parsed.strict)


def run_convert(parsed: argparse.Namespace) -> int:
    """Print or write the files; 1 when something in them waits for a decision."""
    examined = examine(parsed.files)
    if examined.unreadable:
        raise Invalid("; ".join(examined.unreadable))
    converted = convert(examined.case)
    refusal, remaining = _look_again(converted.files)
    if parsed.output is None:
        print("\n".join(f"==> {name} <==\n{text}" for name, text in converted.files.items()))
    else:
        for path in write_new(converted.files, parsed.output):
            print(f"wrote {path}")
    for mended in converted.mended:
        print(f"mended: {mended.source}: {mended.reason}", file=sys.stderr)
    for left in converted.left:
        print(f"left: {left.source}: {left.reason}", file=sys.stderr)
    for finding in remaining:
        place = f"{finding.source}: {finding.id}"
        print(f"warning: check still finds in {place}: {finding.summary}", file=sys.stderr)
    if refusal:
        print(f"warning: a start still refuses this: {refusal}", file=sys.stderr)
    return exit_code.NO if converted.left or refusal else exit_code.DONE


def _look_again(files: Mapping[str, str]) -> tuple[str, tuple[Finding, ...]]:
    """Read the files as a start would; return why it would refuse them, and what is wrong yet."""
    refusal = ""
    with tempfile.TemporaryDirectory(prefix="lanekeeper-convert-") as directory:
        paths = write_new(files, Path(directory))
        try:
            load(paths)
        except Invalid as error:
            refusal = str(error).replace(f"{directory}/", "")
        found = examine(paths).findings
    named = (
        replace(
            one,
            source=Source(Path(one.source.file).name, one.source.line),
            summary=one.summary.replace(f"{directory}/", ""),
        )
        for one in found
    )
    return refusal, tuple(one for one in named if one.severity is Severity.ERROR)


def write_new(files: Mapping[str, str], directory: Path) -> list[Path]:
    """Write every file below *directory*, readable by their owner only, or none of them.

    Raises:
        Invalid: one is there already, or cannot be written.
    """
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = directory / name
            with os.fdopen(os.open(path, _NEW, 0o600), "w", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink()
        raise Invalid(
            f"cannot write {error.filename or directory}: {error.strerror}",
            hint="--output names a directory without these files",
        ) from error
    return written


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
    else:
        with machine_at(parsed.root) as root:
            yield _read(root, str(parsed.root))


def _read(root: Path, name: str) -> Host:
    return Host(name, read_host(root), read_mounted(root))
