"""What is said of a key that nothing reads."""

from __future__ import annotations

from difflib import get_close_matches

from lanekeeper.config.character import mended
from lanekeeper.config.correction import advice, assignment, meant
from lanekeeper.config.file import NO_SECTION, Entry, assigned
from lanekeeper.config.home import SECTIONLESS_KEPT, VIO_NAMES, bare_option, option_at
from lanekeeper.config.names import (
    GONE,
    GUIDE_NAMES,
    LIKENESS,
    MOVED,
    OWN_SECTIONS,
    REPLACED,
    device_option_meant,
    nearest,
    openstack_options,
)
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.vendor_list import parse_vendor_list

_CHOICE = "filter_scheduler"
"""What stands there changes where servers go, so that nothing of it is passed over in silence."""
_NOVAS_FILTERS = "nova.scheduler.filters."
"""What the guides make available: Nova's own, all of which are there always."""


def caution_of(entry: Entry) -> str:
    """Say what is to be known of the key; nothing of one that is another service's business.

    Raises:
        Invalid: it stands in a section of Lanekeeper's own, or it is plain which key was meant.
    """
    _refuse_meant(entry)
    if entry.is_vio:
        path = entry.source.rpartition(":")[0]
        return f"{path}: of a custom.yml only {' and '.join(VIO_NAMES)} are read"
    section, key = entry.section or SECTIONLESS_KEPT, entry.key
    shown = f"[{'DEFAULT' if section == 'default' else section}] {key}"
    if section in OWN_SECTIONS:
        hint = nearest(section, key)
        raise Invalid(
            f"{entry.source}: there is no key {shown}",
            hint=f"did you mean {hint}?" if hint else "the reference lists all keys",
        )
    said = _of_openstack(entry, section)
    return f"{entry.source}: {shown} {said}" if said else ""


def _of_openstack(entry: Entry, section: str) -> str:
    key = entry.key
    if gone := GONE.get((section, key)):
        return f"no longer exists: {gone}{_wrong(key, entry.value)}"
    if moved := MOVED.get((section, key)):
        name, why = moved
        return f"is now {name}; nothing here reads it: {why}"
    if replaced := REPLACED.get((section, key)):
        right, why = replaced
        return f"is not read here: {why}; say {right}"
    if key not in openstack_options().get(section, ()):
        hint = nearest(section, key)
        return "is neither Lanekeeper's nor OpenStack's" + (
            f"; did you mean {hint}?" if hint else ""
        )
    if section != _CHOICE:
        return ""
    is_all = key == "available_filters" and entry.value.strip().startswith(_NOVAS_FILTERS)
    return "" if is_all else "has no effect: hosts are not chosen by it here"


def _wrong(key: str, value: str) -> str:
    """What is wrong with the value of a key that nothing reads; empty where nothing is known."""
    if key != "supported_pci_vendor_devs":
        return ""
    try:
        parse_vendor_list(value)
    except Invalid as error:
        return f"; it was wrong, too: {error}"
    return ""


def _refuse_meant(entry: Entry) -> None:
    """Refuse a key that nothing reads where it is plain which one was meant.

    Nova passes over such a line in silence, and what it should have listed is missing.

    Raises:
        Invalid: a guide prints the key so, a web page left its marks in it, or it is nearly one
            that lists devices or their names.
    """
    if entry.is_vio:
        if close := get_close_matches(entry.key, VIO_NAMES, n=1, cutoff=LIKENESS):
            hint = f"did you mean {close[0]}?"
            raise Invalid(f"{entry.source}: there is no key {entry.key}", hint=hint)
        return
    if guide := GUIDE_NAMES.get((entry.section or "pci", entry.key)):
        option, _ = option_at(*guide)
        assert option is not None
        raise Invalid(
            f"{entry.source}: there is no key {entry.key}: a guide prints it, and nothing reads it",
            hint=advice(option, meant(option, entry.value)) or f"the key is {option.name}",
        )
    first, kinds = mended(entry.line)
    key, value = assigned(first)
    option, _ = option_at(entry.section, key)
    option = option or (bare_option(key) if entry.section == NO_SECTION else None)
    if kinds and option is not None:
        value = "\n".join([value, *entry.value.split("\n")[1:]])
        lines = meant(option, value) if option.multiple else assignment(option.key, value)
        raise Invalid(
            f"{entry.source}: {entry.key[:40]!r} is no key: signs of a web page stand in it",
            hint=advice(option, lines) or f"the key is {option.name}",
        )
    if near := device_option_meant(entry.section or SECTIONLESS_KEPT, entry.key):
        raise Invalid(f"{entry.source}: there is no key {entry.key}", hint=f"did you mean {near}?")
