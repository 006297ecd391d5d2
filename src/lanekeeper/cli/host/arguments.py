"""What may be said to each verb. Loaded by every one of them, so it needs nothing of theirs."""

from __future__ import annotations

import argparse
from pathlib import Path

from lanekeeper.cli.host.target import where_arguments
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.persistence import POLICY_FILE
from lanekeeper.domain.pci.address import PciAddress

CONFIRM_WITHIN_S = 120.0
"""How long a change waits for its confirmation unless told otherwise; as ``netplan try``."""

_SECONDS_MAX = 86400.0


def target_arguments(parser: argparse.ArgumentParser) -> None:
    where_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def policy_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help=f"the policy (default: /{POLICY_FILE})"
    )


def show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bridges", action="store_true", help="show bridges too")
    parser.add_argument("--pf", metavar="ADDRESS", help="this PF and its VFs alone")
    parser.add_argument(
        "--netdev", metavar="NAME", help="the function with this interface, and its VFs"
    )
    parser.add_argument(
        "--address", metavar="GLOB", help="functions at such addresses, as 0000:21:* or 21:10.?"
    )


def capture_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="where to; - is standard output")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument(
        "--scrub",
        action="store_true",
        help="put made-up MACs, serial numbers, IP addresses, names and ids in place of yours",
    )
    where_arguments(parser)


def apply_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--confirm-within",
        type=_seconds,
        metavar="SECONDS",
        help="take the change back unless it is confirmed in time; 0 is never (default: "
        f"{CONFIRM_WITHIN_S:.0f} for the interface that carries the host's own traffic, else 0)",
    )
    parser.add_argument(
        "--accept-replaced",
        type=_address,
        action="append",
        default=[],
        metavar="ADDRESS",
        help="the function there is another one than at the last apply, and is meant",
    )
    parser.add_argument(
        "--leave-refused",
        action="store_true",
        help="leave out entries of pfs and devices that are refused, and apply the rest",
    )


def _address(text: str) -> str:
    try:
        return str(PciAddress.parse(text))
    except Invalid as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if seconds and not 1 <= seconds <= _SECONDS_MAX:
        what = f"{text!r}: 0, or 1 to {_SECONDS_MAX:.0f} seconds"
        raise argparse.ArgumentTypeError(what)
    return seconds


def offline_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offline",
        action="store_true",
        help="--root is the root directory of an image: plan, write or take back its files alone",
    )


def devices_argument(parser: argparse.ArgumentParser) -> None:
    """Refuse ``--offline`` with what can be asked of an image instead."""
    parser.add_argument("--offline", action=_NoImage, nargs=0, help=argparse.SUPPRESS)


class _NoImage(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        why = f"{parser.prog} is about devices, and an image has none"
        instead = "`lanekeeper host plan --offline` says what its files lack for a policy"
        parser.error(f"--offline: {why}; {instead}, and `host drift --offline` what was edited")


def rollback_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to",
        type=int,
        metavar="ID",
        help="take back every change after ID, last first; 0 is the host before the first one",
    )
    parser.add_argument(
        "--give-up",
        action="store_true",
        help="leave as it is what cannot be taken back, and go on to the changes before",
    )


def confirm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("change", type=int, metavar="ID", help="as `host apply` said")
