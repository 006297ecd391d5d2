"""The ``lanekeeper`` command: one parser over the nouns, one place where failures become codes."""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NoReturn

from lanekeeper import __version__
from lanekeeper.cli import exit_code
from lanekeeper.domain.errors import Error, Invalid, Unavailable

# A noun's module is imported only when its word is on the command line, so that a host's tool
# starts without the controller's libraries. ``--help`` needs them all.
_NOUNS = {
    "up": "lanekeeper.cli.up",
    "controller": "lanekeeper.cli.up",
    "simulate": "lanekeeper.cli.simulate",
    "placement": "lanekeeper.cli.placement",
    "agent": "lanekeeper.cli.agent",
    "host": "lanekeeper.cli.host",
    "device": "lanekeeper.cli.device",
    "port": "lanekeeper.cli.port",
    "explain": "lanekeeper.cli.explain",
    "capacity": "lanekeeper.cli.capacity",
    "usage": "lanekeeper.cli.usage",
    "inventory": "lanekeeper.cli.inventory",
    "config": "lanekeeper.cli.config",
    "verify": "lanekeeper.cli.verify",
    "db": "lanekeeper.cli.db",
    "admin": "lanekeeper.cli.admin",
    "lab": "lanekeeper.cli.lab",
}
_COLUMNS = 80


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; see ``cli/exit_code.py`` for what the number says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if sys.stdout is None:  # closed by whoever started us: what is printed has nowhere to go
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  # as long as we run; pathlib is not loaded yet
    try:
        with _made_for_good() if arguments is None else nullcontext():
            parser = _parser(given)
        parsed = parser.parse_args(given)
        code: int = parsed.handler(parsed)
        sys.stdout.flush()
    except Error as error:
        return exit_code.tell(error)
    except PermissionError as error:
        return exit_code.tell(
            Invalid(
                f"{error.filename or 'a file'} may not be looked at: {error.strerror}",
                hint="run this as the user that owns it, or as root",
            )
        )
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone; the interpreter's own complaint helps nobody
        return exit_code.NO
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        with suppress(OSError):
            sys.stdout.close()  # the interpreter would try once more, and complain
        return exit_code.tell(Unavailable(f"what this prints cannot be written: {error.strerror}"))
    except KeyboardInterrupt:
        return exit_code.INTERRUPTED
    return code


class _Formatter(argparse.HelpFormatter):
    """Asks the terminal for its width itself: argparse loads shutil and its archivers for that."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """As ``shutil.get_terminal_size``: what the environment says, else the terminal, else 80."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    with suppress(AttributeError, ValueError, OSError):
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or _COLUMNS  # type: ignore[union-attr]
    return _COLUMNS


class _Parser(argparse.ArgumentParser):
    """Has the very noun or verb complain that was given wrong words, with its own usage."""

    _given: Sequence[str] = ()

    def __init__(self, **told: Any) -> None:
        super().__init__(**{"formatter_class": _Formatter, **told})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = list(args or ())
        parsed, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return parsed, left

    def error(self, message: str) -> NoReturn:
        """Name an option that nobody knows before what is missing beside it."""
        unknown = [word for word in self._given if word.startswith("-") and not self._knows(word)]
        if unknown and message.startswith("the following arguments are required"):
            message = f"unrecognized arguments: {' '.join(unknown)}; {message}"
        super().error(message)

    def _knows(self, word: str) -> bool:
        name = word.partition("=")[0]
        return any(option.startswith(name) for option in self._option_string_actions)


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lanekeeper",
        description="PCI devices and SR-IOV for KVM guests, from bare silicon to a running server.",
    )
    parser.add_argument("--version", action="version", version=f"lanekeeper {__version__}")
    subparsers = parser.add_subparsers(dest="noun", required=True, metavar="NOUN", prog=parser.prog)
    word = next((word for word in given if not word.startswith("-")), "")
    wanted = [_NOUNS[word]] if word in _NOUNS else _NOUNS.values()
    if given[:1] == ["--version"]:
        wanted = []  # needs none of them, and all take most of a second
    for name in dict.fromkeys(wanted):
        importlib.import_module(name).register(subparsers)
    return parser


@contextmanager
def _made_for_good() -> Iterator[None]:
    """Have the garbage collector never look at what is there after the block: modules, mostly.

    They stay until the end. It would go through them again and again while they are made, at each
    full collection and at the exit: a third of the processor time that a short command takes.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
