"""Which option a key means, by where it stands."""

from __future__ import annotations

from lanekeeper.config.file import Entry
from lanekeeper.config.names import options, spellings
from lanekeeper.config.option import Option

VIO_NAMES = {
    "nova_pci_alias": ("pci", "alias"),
    "nova_pci_passthrough_whitelist": ("pci", "device_spec"),
}
SECTIONLESS_KEPT = "default"
"""Whose a key is that stands before any section, unless it is known better."""


def home_of(entry: Entry) -> tuple[str, str]:
    """Return section and key as an INI file would have them."""
    if entry.is_vio:
        return VIO_NAMES.get(entry.key, ("vio", entry.key))
    return entry.section, entry.key


def option_at(section: str, key: str) -> tuple[Option | None, bool]:
    """Return the option that is read there, and whether under an old name."""
    # A key before any section counts as [DEFAULT]'s: old guides print them so.
    for option in options().values():
        for known_section, known_key, is_old in spellings(option):
            if (section or SECTIONLESS_KEPT, key) == (known_section, known_key):
                return option, is_old
    return None, False


def bare_option(key: str) -> Option | None:
    """Return the option that *key* means outside of any section, where it is not [DEFAULT]'s."""
    for option in options().values():
        if any(key == known for _, known, _ in spellings(option)):
            return option
    return None
