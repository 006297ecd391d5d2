"""How a command says what it has to say: as text, or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from contextlib import suppress

from lanekeeper.cli import exit_code
from lanekeeper.host.apply import Progress, Stage, Verb, silent


def show(arguments: argparse.Namespace, document: object, text: Iterable[str]) -> None:
    if arguments.json:
        print(json.dumps(document, indent=2, default=str))
    else:
        print("\n".join(text))


def report(
    arguments: argparse.Namespace, document: object, text: Iterable[str], code: int = exit_code.NO
) -> int:
    show(arguments, document, text)
    return code


def progress(arguments: argparse.Namespace) -> Progress:
    """Return what tells each stage on standard output; JSON goes there alone."""
    return silent if arguments.json else tell


def tell(stage: Stage) -> None:
    """Print one stage. Whoever stops reading does not stop a change half-way."""
    width = len(str(stage.count))
    undo = "undo: " if stage.verb is Verb.UNDO else ""
    with suppress(OSError):
        print(f"[{stage.number:{width}}/{stage.count}] {undo}{stage.action}", flush=True)
