"""Steps that give kernel arguments to entry files, and to what new kernels' entries are made from.

Source: The UAPI Group, "Boot Loader Specification"; systemd kernel-install(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import ReplaceText
from lanekeeper.domain.hostplan.boot_loader import lacking, with_arguments
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.step import Impact, Step
from lanekeeper.domain.hostplan.steps.boot.grub import quoted

KERNEL_INSTALL = "etc/kernel/cmdline"


def entry_steps(wanted: tuple[str, ...], host: HostFacts) -> Iterator[Step]:
    """Change the options of each entry that lacks an argument."""
    for path, given in host.boot.entries.items():
        missing = lacking(wanted, given)
        if missing:
            text = host.boot.texts[path]
            yield _step(path, *_options(text, missing), f"it lacks {quoted(missing)}")
    kept = host.boot.texts.get(KERNEL_INSTALL)
    missing = lacking(wanted, tuple(" ".join(_said(kept or "")).split()))
    if kept is not None and missing:
        # No note: kernel-install of older systemd takes every line for arguments.
        old = (_said(kept) or [""])[-1]
        new = f"{' '.join(with_arguments(tuple(old.split()), missing))}\n"
        if not old and not kept.endswith("\n"):  # a comment alone, whose line has no end
            old = kept.rpartition("\n")[2]
            new = f"{old}\n{new}" if old else new
        why = f"entries of new kernels would lack {quoted(missing)}"
        yield _step(KERNEL_INSTALL, old, new, why)


def _step(path: str, old: str, new: str, why: str) -> Step:
    return Step(ReplaceText(path, old, new), (ReplaceText(path, new, old),), why, Impact.REBOOT)


def _options(text: str, missing: tuple[str, ...]) -> tuple[str, str]:
    """Return the lines to replace, and what to put there: the last options count."""
    lines = text.splitlines(keepends=True)
    last = next((n for n in reversed(range(len(lines))) if _is_options(lines[n])), None)
    if last is None:
        old = "" if text.endswith("\n") or not text else lines[-1]
        start = f"{old}\n" if old else ""
        return old, f"{start}{persistence.NOTE}options {' '.join(missing)}\n"
    noted = last > 0 and lines[last - 1] == persistence.NOTE
    old = "".join(lines[last - noted : last + 1])
    words = with_arguments(tuple(lines[last].split()[1:]), missing)
    return old, f"{persistence.NOTE}options {' '.join(words)}\n"


def _is_options(line: str) -> bool:
    return line.split()[:1] == ["options"]


def _said(text: str) -> list[str]:
    """Return the lines that say something and are no comments, with their ends."""
    lines = text.splitlines(keepends=True)
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
