"""``lanekeeper host capture``."""

from __future__ import annotations

import argparse
import sys

from lanekeeper.cli import exit_code
from lanekeeper.cli.host.target import target_of
from lanekeeper.domain.errors import Invalid
from lanekeeper.host.capture import capture
from lanekeeper.host.scrub import scrub

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
    if str(arguments.file) == "-":
        sys.stdout.write(text)
        return exit_code.DONE
    try:
        arguments.file.write_text(text, "ascii")
    except OSError as error:
        raise Invalid(f"cannot write {arguments.file}: {error.strerror}") from error
    print(f"{arguments.file}: {text.count(chr(10)) - 1} entries.")
    print(_SCRUBBED if arguments.scrub else _WHOLE)
    return exit_code.DONE
