"""How a command says what it has to say: as text, or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable

from lanekeeper.cli import exit_code

_INDENT = 2


def show(arguments: argparse.Namespace, document: object, text: Iterable[str]) -> None:
    """Print *document* where JSON was asked for, indented for eyes alone: that takes long."""
    if arguments.json:
        indent = _INDENT if sys.stdout.isatty() else None
        print(json.dumps(document, indent=indent, default=str))
    else:
        print("\n".join(text))


def report(
    arguments: argparse.Namespace, document: object, text: Iterable[str], code: int = exit_code.NO
) -> int:
    show(arguments, document, text)
    return code
