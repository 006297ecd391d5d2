"""Where a command finds its policy."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.target import Target
from lanekeeper.domain.errors import Error, Invalid
from lanekeeper.domain.hostplan.persistence import POLICY_FILE
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.host.policy_file import PolicyFileInvalid, read_policy


def policy_path(arguments: argparse.Namespace, target: Target) -> Path | None:
    if arguments.policy is not None:
        given: Path = arguments.policy
        return given
    kept = target.root / POLICY_FILE
    return kept if kept.exists() else None


def policy_of(arguments: argparse.Namespace, target: Target) -> Policy:
    return policy_at(arguments, policy_path(arguments, target))


class Source:
    """Where a command has its policy from.

    The policy that the machine keeps is read anew each time, even where it was named, as the unit
    at boot does: what goes back, or another apply, may have written it. Any other that was named
    is read once, since a pipe can be read only once.
    """

    def __init__(self, arguments: argparse.Namespace, target: Target) -> None:
        self._arguments = arguments
        self._target = target
        self._kept = target.root / POLICY_FILE
        self._once: Policy | None = None

    @property
    def is_named(self) -> bool:
        return self._arguments.policy is not None

    @property
    def is_kept(self) -> bool:
        named: Path | None = self._arguments.policy
        return named is None or os.path.realpath(named) == os.path.realpath(self._kept)

    @property
    def is_gone(self) -> bool:
        return self.is_kept and not self._kept.exists()

    def read(self) -> Policy:
        """Raises Invalid: there is none, or it makes no sense."""
        if self._once is not None and not self.is_kept:
            return self._once
        if self._once is not None and self.is_gone:
            raise Invalid(
                f"{self._kept} is gone: the change that wrote it was taken back",
                hint="--policy FILE names another",
            )
        self._once = read_at(policy_path(self._arguments, self._target))
        return self._once


def policy_at(arguments: argparse.Namespace, path: Path | None) -> Policy:
    """Read the policy at *path*, and print what is wrong with it. Raises as ``read_at``."""
    with cut_short(arguments):
        return read_at(path)


def read_at(path: Path | None) -> Policy:
    """Read the policy at *path*. Raises Invalid, without a path too."""
    if path is None:
        hint = "--policy FILE; packaging/policy.sample.yaml is one"
        raise Invalid(f"no policy is given, and /{POLICY_FILE} is not there", hint=hint)
    return read_policy(path)


def show_invalid(arguments: argparse.Namespace, error: Error) -> None:
    """Print *error* where JSON was asked for, with its place where it has one."""
    if arguments.json:
        show(arguments, errors_json(error), ())


@contextmanager
def cut_short(
    arguments: argparse.Namespace, resumed: dict[str, Any] | None = None
) -> Iterator[None]:
    """Print what goes wrong as JSON, with what was *resumed* before: that was done, and stands."""
    try:
        yield
    except Error as error:
        if arguments.json and (resumed is not None or isinstance(error, PolicyFileInvalid)):
            first = {} if resumed is None else {"resumed": resumed}
            show(arguments, {**first, **errors_json(error)}, ())
        raise


def errors_json(error: Error) -> dict[str, Any]:
    parts = error.parts if isinstance(error, PolicyFileInvalid) else (error,)
    return {"errors": [*map(_error_json, parts)]}


def _error_json(error: Error) -> dict[str, object]:
    if not isinstance(error, PolicyFileInvalid):
        return {"message": str(error), "hint": error.hint}
    return {
        "file": error.source,
        "line": error.line,
        "path": error.path,
        "message": error.message,
        "hint": error.hint,
    }
