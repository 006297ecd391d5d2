"""``lanekeeper host adopt``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator

import yaml

from lanekeeper.cli import exit_code
from lanekeeper.cli.host.called import program
from lanekeeper.cli.host.output import show
from lanekeeper.cli.host.target import target_of
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.adoption.adoption import Adopted, adopt
from lanekeeper.domain.hostplan.adoption.note import Note
from lanekeeper.host.survey import read_survey

_HEAD = """\
# The host as `lanekeeper host adopt` found it; a plan for this file changes no device.
# Whom the VFs and devices serve no host knows: add physical_network or alias to each entry.
"""


def adopt_host(arguments: argparse.Namespace) -> int:
    """Write the policy that describes the machine, and say what has to be known of it."""
    with target_of(arguments) as target:
        found = adopt(read_survey(target.root, program()))
    if arguments.json:
        show(arguments, _document(found), ())
        return exit_code.DONE
    text = policy_text(found)
    if arguments.output is None:
        sys.stdout.write(text)
        return exit_code.DONE
    try:
        with arguments.output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        hint = "name a file that is not there yet"
        raise Invalid(f"cannot write {arguments.output}: {error.strerror}", hint=hint) from error
    print(f"{arguments.output}: {len(found.document.get('pfs', []))} PFs.")
    for each in found.lost:
        print(f"would not survive a reboot: {each}")
    for note in found.notes:
        print(f"to know: {note}")
    return exit_code.DONE


def _document(found: Adopted) -> dict[str, object]:
    return {
        "policy": found.document,
        "lost_by_a_reboot": [{"setting": one.setting, "why": one.why} for one in found.lost],
        "notes": [
            {"subject": one.subject, "says": one.says, "path": one.path} for one in found.notes
        ],
    }


def policy_text(found: Adopted) -> str:
    """Return the policy as a file, with what has to be known of it in comments."""
    parts = [_HEAD]
    if found.lost:
        parts.append("# Would not survive a reboot without `lanekeeper host apply`:\n")
        parts += _comments(found.lost)
    if found.notes:
        parts.append("# To know:\n")
        parts += _comments(found.notes)
    notes = {note.path: note for note in found.notes}
    for key, value in found.document.items():
        told = [notes.get(f"{key}[{at}]") for at in range(len(value))] if _is_list(value) else []
        if any(told):
            parts += [f"{key}:\n", *_with_comments(value, told)]
        else:
            # A mapping of plain words alone would be put between braces.
            parts.append(
                _yaml({key: value}, flow=None if isinstance(value, list | dict) else False)
            )
    return "".join(parts)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _with_comments(values: Iterable[object], told: Iterable[Note | None]) -> Iterator[str]:
    """Yield a line for each value, below what has to be known of it."""
    for value, note in zip(values, told, strict=True):
        if note is not None:
            yield f"  # {note.says}\n"
        yield f"  {_yaml([value], flow=False)}"


def _comments(lines: Iterable[object]) -> Iterator[str]:
    """Yield each in a line of a comment; what files of the host say may have more lines."""
    return (f"#   {' '.join(str(line).split())}\n" for line in lines)


def _yaml(value: object, *, flow: bool | None = None) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, default_flow_style=flow, width=100)
    return text
