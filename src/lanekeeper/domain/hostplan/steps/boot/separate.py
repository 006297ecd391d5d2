"""Steps that put entries with kernel arguments beside the plain ones, and boot them by default.

GRUB's own script makes the entries once more, so that they follow every kernel that is installed
later; a copy of one entry, as guides have it, stays with the kernel it was copied from. The plain
entries stay in the menu, to boot without.
"""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import RunProgram, SaveEntry
from lanekeeper.domain.hostplan.boot_loader import lacking
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.step import Impact, Step
from lanekeeper.domain.hostplan.steps.boot.grub import (
    dropped_in,
    quoted,
    setting_steps,
    update_steps,
)
from lanekeeper.domain.hostplan.steps.files import file_steps, removal_step

_SAVED = "saved"


def has_separate(host: HostFacts) -> bool:
    """Whether the next kernel starts from the separate entry."""
    there = host.files.get(persistence.ENTRY_SCRIPT) is not None
    return there and host.boot.default == _SAVED and _is_saved(host)


def separate_steps(wanted: tuple[str, ...], host: HostFacts) -> Iterator[Step]:
    """Add the script, have the menu made, and make its first entry the default."""
    plain = host.configured_cmdline or ()
    if not lacking(wanted, plain):
        return  # every entry has them
    given = dropped_in(host.files.get(persistence.ENTRY_SCRIPT) or "")
    missing = lacking(wanted, (*plain, *given))
    files: list[Step] = []
    if missing or not given or set(given) - set(wanted):
        kept = (word for word in given if word in wanted and word not in missing)
        words = (*kept, *missing)
        why = f"an entry with {quoted(words)}, beside those without"
        text = persistence.entry_script(words, _before(host))
        files += file_steps(host, persistence.ENTRY_SCRIPT, text, why, Impact.REBOOT, mode=0o755)
    if host.boot.default != _SAVED:
        why = f"GRUB_DEFAULT is {host.boot.default}, so no entry can be chosen"
        files += setting_steps(host, (), saved=True, why=why)
    yield from files
    if files or not _is_saved(host):  # files that came with an image are in no menu yet
        yield from update_steps(host, files)
    if not _is_saved(host):
        yield _choose(host)


def script_removal(host: HostFacts) -> Iterator[Step]:
    """Remove the script of an earlier policy that wanted a separate entry."""
    before = host.files.get(persistence.ENTRY_SCRIPT)
    if before is not None and persistence.SIGN in before:
        why = "the policy wants no separate entry any more"
        yield removal_step(host, persistence.ENTRY_SCRIPT, before, why, Impact.REBOOT, mode=0o755)


def unsaved(host: HostFacts) -> Iterator[Step]:
    """Let GRUB boot what it would without a separate entry: what it did before there was one."""
    if _is_saved(host):
        before = _before(host)
        do = RunProgram(SaveEntry(_tool(host), before, persistence.ENTRY_ID).command)
        undo = SaveEntry(_tool(host), persistence.ENTRY_ID, before)
        yield Step(do, (undo,), "the entry that is booted is not there any more", Impact.REBOOT)


def _tool(host: HostFacts) -> str:
    return "grub2" if (host.boot.update or ("",))[0].startswith("grub2") else "grub"


def _is_saved(host: HostFacts) -> bool:
    return host.boot.saved_entry == persistence.ENTRY_ID


def _before(host: HostFacts) -> str:
    """Return the entry that was saved before the separate one; empty for none."""
    if _is_saved(host):
        return persistence.saved_before(host.files.get(persistence.ENTRY_SCRIPT) or "")
    return host.boot.saved_entry or ""


def _choose(host: HostFacts) -> Step:
    """Save the entry as default; as undo the one before, unless the operator chose one since."""
    before = host.boot.saved_entry or ""
    back = SaveEntry(_tool(host), before, persistence.ENTRY_ID)
    do = RunProgram(SaveEntry(_tool(host), persistence.ENTRY_ID, before).command)
    return Step(do, (back,), "the entry with the arguments is booted", Impact.REBOOT)
