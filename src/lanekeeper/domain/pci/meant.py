"""What Nova takes of ``[pci]`` options and nobody can have meant; no configuration here has it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.device_spec import DeviceSpec


def refuse_all(specs: Iterable[DeviceSpec]) -> None:
    """Refuse an entry that selects every device, as a template that nobody filled in does.

    Raises:
        Invalid: there is one.
    """
    for spec in specs:
        if spec.selects_all:
            raise Invalid(
                f"device_spec {spec.text} selects every PCI function of the host, its boot disk "
                "and its own network card too",
                hint="give vendor_id and product_id, or address, or devname, with a value",
            )


def refuse_twice(text: str, name: str) -> None:
    """Refuse an object that says one key twice: Nova takes the last and overlooks the others.

    *text* is JSON of option *name*.

    Raises:
        Invalid: there is one.
    """

    def check(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
        for key, count in Counter(key for key, _ in pairs).items():
            if count > 1:
                raise Invalid(
                    f"{name} says {key!r} {count} times in one entry",
                    hint=f"say {key!r} once; for several values write as many entries",
                )
        return dict(pairs)

    json.loads(text, object_pairs_hook=check)
