"""``lanekeeper host capture``."""

from __future__ import annotations

import argparse
import sys

from lanekeeper.cli import exit_code
from lanekeeper.cli.host.target import target_of
from lanekeeper.domain.errors import Invalid
from lanekeeper.host.capture import capture
from lanekeeper.host.scrub import scrub
from lanekeeper.host.tree import ended

_WHOLE = (
    "It holds MAC addresses, serial numbers and IP routes: look at it before you send it, or make "
    "it with --scrub."
)
_SCRUBBED = (
    "MACs, serial numbers, IP addresses, names and ids in it are made up. Kernel arguments and "
    "lines of configuration are yours: look at them before you send it."
)


def capture_host(arguments: argparse.Namespace) -> int:
    """Write the machine down. Says that addresses and serial numbers are in it."""
    with target_of(arguments) as target:
        text = capture(target.root)
    if arguments.scrub:
        text = scrub(text)
    text = ended(text)
    if str(arguments.file) == "-":
        sys.stdout.write(text)
        return exit_code.DONE
    try:
        with arguments.file.open("w" if arguments.force else "x", encoding="ascii") as file:
            file.write(text)
    except FileExistsError as error:
        hint = "name a file that is not there yet, or --force replaces it"
        raise Invalid(f"{arguments.file} is there already", hint=hint) from error
    except OSError as error:
        raise Invalid(f"cannot write {arguments.file}: {error.strerror}") from error
    print(f"{arguments.file}: {text.count(chr(10)) - 2} entries.")
    print(_SCRUBBED if arguments.scrub else _WHOLE)
    return exit_code.DONE
