"""How a command says what it has to say: as text, or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from lanekeeper.cli import exit_code
from lanekeeper.domain.hostplan.action import Change


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


def tell(verb: str, action: Change) -> None:
    print(f"{'undo: ' if verb == 'undo' else ''}{action}", flush=True)


def silent(_verb: str, _action: Change) -> None:
    """JSON goes alone on standard output."""
