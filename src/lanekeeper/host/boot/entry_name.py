"""Names of entry files, which a boot loader that counts its tries changes by itself.

``NAME+3.conf`` has three tries left, ``NAME+2-1.conf`` two after one that failed; an entry that
was found good is ``NAME.conf``.

Source: The UAPI Group, "Boot Loader Specification", "Boot counting"; systemd, "Automatic Boot
Assessment".
"""

from __future__ import annotations

import re
from pathlib import Path

from lanekeeper.host.attribute import names
from lanekeeper.host.inside import inside

_COUNTED = re.compile(r"(?:\+\d+(?:-\d+)?)?\.conf\Z")
_HOME = "/loader/entries"


def entry_place(root: Path, name: str) -> str:
    """Return what the entry file *name* below *root* is called now; *name* itself where none is.

    Raises:
        HostFault: the directory cannot be listed.
        OSError: links lead in a circle.
    """
    home, _, last = name.rpartition("/")
    if not home.endswith(_HOME) or inside(root, name).is_file():
        return name
    plain = _COUNTED.sub("", last)
    others = names(str(inside(root, home, follow=True)))
    same = [each for each in others if _COUNTED.search(each) and _COUNTED.sub("", each) == plain]
    return f"{home}/{same[0]}" if len(same) == 1 else name
