"""What settings of GRUB come to, which are assignments of a shell.

Source: GNU GRUB manual, "Simple configuration handling".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def read_variables(texts: Iterable[str | None]) -> dict[str, str]:
    """Return what the settings in *texts* come to."""
    variables: dict[str, str] = {}
    for text in texts:
        _source(text or "", variables)
    return variables


def grub_arguments(variables: dict[str, str]) -> tuple[str, ...]:
    """Return the kernel arguments of a plain entry."""
    words = (variables.get(f"GRUB_CMDLINE_LINUX{end}", "") for end in ("", "_DEFAULT"))
    return tuple(" ".join(words).split())


def followed(text: str, variables: dict[str, str]) -> str:
    """Put values in place of ``$name`` and ``${name}``; what is not known is empty."""
    return _VARIABLE.sub(lambda name: variables.get(name[1] or name[2], ""), text)


def _source(text: str, variables: dict[str, str]) -> None:
    """Follow plain assignments as a shell would; anything cleverer is passed over."""
    for line in text.replace("\\\n", "").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        for word in words[1:] if words[:1] == ["export"] else words:
            found = _ASSIGNMENT.fullmatch(word)
            if found is None:
                break
            before = variables.get(found[1], "") if found[2] else ""
            variables[found[1]] = before + followed(found[3], variables)
