"""A host policy's file: YAML, strict, and every error with its line."""

from __future__ import annotations

from pathlib import Path

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid
from lanekeeper.host.strict_yaml import Document, decode
from lanekeeper.host.yaml_fault import YamlInvalid

_BYTES_MAX = 2**18


def read_policy(path: Path) -> Policy:
    """Read the policy at *path*.

    Raises:
        Invalid: unreadable, not YAML, or wrong at one place; the message names file and line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX + 1)  # a device never ends
    except OSError as error:
        raise Invalid(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _BYTES_MAX:
        hint = f"a policy has at most {_BYTES_MAX} bytes"
        raise Invalid(f"{path}: too long for a policy", hint=hint)
    try:
        text = decode(data)
    except YamlInvalid as error:
        raise _placed(error, str(path)) from error
    return load_policy(text, str(path))


def load_policy(text: str, source: str) -> Policy:
    """Read a policy from *text*; errors begin with *source* and the line. Raises Invalid."""
    try:
        document = Document(text)
    except YamlInvalid as error:
        raise _placed(error, source) from error
    try:
        return parse_policy(document.value, text)
    except PolicyInvalid as error:
        where = f"{source}:{document.line(error.path)}"
        raise Invalid(f"{where}: {error}", hint=error.hint) from error


def _placed(error: YamlInvalid, source: str) -> Invalid:
    return Invalid(f"{source}:{error.line}:{error.column}: {error}", hint=error.hint)
