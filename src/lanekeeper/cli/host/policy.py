"""Where a command finds its policy."""

from __future__ import annotations

import argparse
from pathlib import Path

from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.target import Target
from lanekeeper.domain.errors import Invalid
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


def policy_at(arguments: argparse.Namespace, path: Path | None) -> Policy:
    """Read the policy at *path*. Raises Invalid, without a path too."""
    if path is None:
        hint = "--policy FILE; packaging/policy.sample.yaml is one"
        raise Invalid(f"no policy is given, and /{POLICY_FILE} is not there", hint=hint)
    try:
        return read_policy(path)
    except PolicyFileInvalid as error:
        if arguments.json:
            show(arguments, {"errors": [*map(_error_json, error.parts)]}, ())
        raise


def _error_json(error: PolicyFileInvalid) -> dict[str, object]:
    return {
        "file": error.source,
        "line": error.line,
        "path": error.path,
        "message": error.message,
        "hint": error.hint,
    }
