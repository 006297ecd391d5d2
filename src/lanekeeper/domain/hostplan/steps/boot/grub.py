"""Steps that give every entry of GRUB's menu its kernel arguments.

What is added stands behind all that is there, in a drop-in where this GRUB reads them, else at
the end of its settings, which are a shell's: nothing of the operator is changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import Change, MakeDirectory, ReplaceText, UpdateBootLoader
from lanekeeper.domain.hostplan.boot_loader import Loader, argument_key, lacking
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.step import Impact, Step
from lanekeeper.domain.hostplan.steps.files import file_steps, own_file_steps

SETTINGS = "etc/default/grub"
_SAVED = "GRUB_DEFAULT=saved"
_BLOCK = re.compile(rf"^{re.escape(persistence.NOTE)}(?:(?:#|GRUB_).*\n)+", re.MULTILINE)


def grub_steps(
    wanted: tuple[str, ...], host: HostFacts, removed: Sequence[Step] = ()
) -> Iterator[Step]:
    """Write the arguments that settings or menu lack, and have the menu made anew.

    What an earlier policy wanted and this one does not goes; *removed* is what goes with it, by
    which the saved entry is no default any more.
    """
    missing = lacking(wanted, host.configured_cmdline or ())
    given, was_saved = dropped_in(own_text(host)), _SAVED in own_text(host)
    gone = tuple(word for word in given if word not in wanted)
    files = [*removed]
    if missing or gone or (removed and was_saved):
        why = f"the boot loader does not give {quoted(missing)}"
        if not missing:
            why = f"the policy does not want {quoted(gone)} any more"
        if not missing and not gone:
            why = "the policy wants no separate entry any more"
        saved = was_saved and not removed
        files += setting_steps(host, own_arguments(wanted, host), saved=saved, why=why)
    yield from files
    stale = host.boot.menu is not None and lacking(wanted, host.boot.menu)
    if missing or stale or files:
        yield from update_steps(host, files)


def setting_steps(
    host: HostFacts, arguments: tuple[str, ...], *, saved: bool, why: str
) -> Iterator[Step]:
    """Have GRUB's settings end with *arguments*, and with the saved entry as default if asked."""
    lines = persistence.grub_lines(arguments, saved=saved)
    text = persistence.NOTE + lines if lines else ""
    if host.boot.loader is Loader.GRUB_DROP_IN and not text:
        yield from own_file_steps(host, persistence.GRUB_FILE, "", why, Impact.REBOOT)
        return
    if host.boot.loader is Loader.GRUB_DROP_IN:
        yield from file_steps(host, persistence.GRUB_FILE, text, why, Impact.REBOOT)
        return
    settings = host.boot.texts.get(SETTINGS, "")
    block = _BLOCK.search(settings)
    last = settings.rpartition("\n")[2]
    if block:
        old, new = block[0], text
    else:  # a last line without its end would run into what is added
        old, new = last, f"{last}\n{text}" if last else text
    undo = ReplaceText(SETTINGS, new, old)
    yield Step(ReplaceText(SETTINGS, old, new), (undo,), why, Impact.REBOOT)


def update_steps(host: HostFacts, files: list[Step]) -> Iterator[Step]:
    """Have the menu made from *files*; taking that back needs them taken back first."""
    if host.boot.update is None:
        return
    update = UpdateBootLoader(host.boot.update)
    texts = [step for step in files if not isinstance(step.do, MakeDirectory)]
    back: list[Change] = [change for step in reversed(texts) for change in step.undo]
    undo = (*back, update) if files else ()
    yield Step(update, undo, "the boot menu is made from these files", Impact.REBOOT)


def own_arguments(wanted: tuple[str, ...], host: HostFacts) -> tuple[str, ...]:
    """Return the arguments that Lanekeeper gives by itself, behind those of the operator."""
    missing = lacking(wanted, host.configured_cmdline or ())
    kept = (word for word in dropped_in(own_text(host)) if word in wanted)
    return (*(word for word in kept if word not in missing), *missing)


def own_overruling(host: HostFacts) -> tuple[str, ...]:
    """Return those of them that overrule ``max_vfs``, which only a machine with its cards needs."""
    given = dropped_in(own_text(host))
    return tuple(word for word in given if argument_key(word).endswith(".max_vfs"))


def quoted(arguments: tuple[str, ...]) -> str:
    """Return *arguments* such that a bare word among them is no part of the sentence."""
    return ", ".join(f"'{argument}'" for argument in arguments)


def dropped_in(text: str) -> tuple[str, ...]:
    """Return the arguments that an earlier plan wrote."""
    words = text.rpartition("$GRUB_CMDLINE_LINUX_DEFAULT ")[2] if "_DEFAULT " in text else ""
    return tuple(words.partition('"')[0].split())


def own_text(host: HostFacts) -> str:
    """Return what an earlier plan wrote for every entry, wherever this GRUB reads it."""
    if host.boot.loader is Loader.GRUB_DROP_IN:
        text = host.files.get(persistence.GRUB_FILE) or ""
        return text if persistence.SIGN in text else ""
    block = _BLOCK.search(host.boot.texts.get(SETTINGS, ""))
    return block[0] if block else ""
