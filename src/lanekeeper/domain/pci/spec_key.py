"""Keys of a ``device_spec`` entry, and what is nearly one.

Every key that Nova does not know is a tag to it, so a slip of the pen makes an entry select far
more than was meant. Here what looks like a known key is refused; other keys stay tags, and so does
whatever begins with ``x_``: a tag of the operator's own that may look like anything.
"""

from __future__ import annotations

import re

from lanekeeper.domain.errors import Invalid

SELECTORS = ("vendor_id", "product_id", "devname", "address")
FLAGS = ("managed", "live_migratable", "one_time_use", "trusted", "remote_managed")
TEXTS = ("physical_network", "resource_class", "traits")
KNOWN = (*SELECTORS, *FLAGS, *TEXTS)

_OTHER_WORDS = {
    "vendor": "vendor_id",
    "product": "product_id",
    "physnet": "physical_network",
    "netdev": "devname",
    "devicename": "devname",
    "pciaddress": "address",
    "pciaddr": "address",
    "bdf": "address",
}
"""What people call a known key elsewhere, without blanks, hyphens and underscores."""
SWITCH_TAG = "x_switch"
"""The switch that the devices' PF is cabled to: Lanekeeper's own word, which Nova overlooks."""
OWN_PREFIX = "x_"
_STUMP = 4
"""So many letters that begin a key are a short form of it; of a word among several, one less."""
_SHORT = 7
"""Up to this length one wrong letter is a slip; in longer keys two are."""


def near_miss(key: str) -> str | None:
    """Return the known key that *key* is a slip of, or short for; None for known ones and tags."""
    if key in KNOWN or key.startswith(OWN_PREFIX):
        return None
    bare = _bare(key)
    if bare in _OTHER_WORDS:
        return _OTHER_WORDS[bare]
    if short := next((known for known in KNOWN if _is_short_for(key, known)), None):
        return short
    wrong = {known: slips(bare, _bare(known)) for known in KNOWN}
    near = [known for known in KNOWN if wrong[known] <= (1 if len(known) <= _SHORT else 2)]
    return min(near, key=lambda known: wrong[known], default=None)


def check_key(key: str, *, strict: bool) -> None:
    """Let a known key pass, and any other that is no slip of one unless *strict*.

    Raises:
        Invalid: neither; the hint says what would be right.
    """
    if key in KNOWN or key == SWITCH_TAG:
        return
    if key == "device_id":
        # Red Hat's chapter prints it for the vendor's id, VMware's page for the device's.
        raise Invalid(
            "device_spec has no key 'device_id'",
            hint="the vendor's number is 'vendor_id', the device's is 'product_id'",
        )
    if meant := near_miss(key):
        raise Invalid(
            f"device_spec has no key {key!r}",
            hint=f"did you mean {meant!r}? A tag of your own is called {OWN_PREFIX}{_bare(key)}",
        )
    if strict:
        raise Invalid(f"device_spec has no key {key!r}; it has {', '.join(KNOWN)}")


def _bare(key: str) -> str:
    return "".join(letter for letter in key.lower() if letter not in " -_")


def _is_short_for(key: str, known: str) -> bool:
    """Whether *key* begins *known*, as a whole or word by word: ``addr``, ``phys_net``."""
    if len(bare := _bare(key)) >= _STUMP and _bare(known).startswith(bare):
        return True
    words, whole = re.split(r"[ _-]+", key.lower()), known.split("_")
    return len(words) == len(whole) > 1 and all(
        one == full or (len(one) >= _STUMP - 1 and full.startswith(one))
        for one, full in zip(words, whole, strict=True)
    )


def slips(one: str, other: str) -> int:
    """How many letters have to be changed, added or left out.

    Source: V. Levenshtein, "Binary codes capable of correcting deletions, insertions, and
    reversals", 1966.
    """
    row = list(range(len(other) + 1))
    for taken, letter in enumerate(one, start=1):
        diagonal, row[0] = row[0], taken
        for at, wanted in enumerate(other, start=1):
            change = diagonal + (letter != wanted)
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, change)
    return row[-1]
