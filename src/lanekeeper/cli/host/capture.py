"""``lanekeeper host capture``."""

from __future__ import annotations

import argparse
import sys

from lanekeeper.cli import exit_code
from lanekeeper.cli.host.target import target_of
from lanekeeper.domain.errors import Invalid
from lanekeeper.host.capture import capture


def capture_host(arguments: argparse.Namespace) -> int:
    """Write the machine down. Says that addresses and serial numbers are in it."""
    with target_of(arguments) as target:
        text = capture(target.root)
    if str(arguments.file) == "-":
        sys.stdout.write(text)
        return exit_code.DONE
    try:
        arguments.file.write_text(text, "ascii")
    except OSError as error:
        raise Invalid(f"cannot write {arguments.file}: {error.strerror}") from error
    print(f"{arguments.file}: {text.count(chr(10)) - 1} entries.")
    print("It holds MAC addresses, serial numbers and IP routes: look at it before you send it.")
    return exit_code.DONE
