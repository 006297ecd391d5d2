"""What one entry of ``pfs`` wants of one PF."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from lanekeeper.domain.hostplan.policy.purpose import Purpose, read_purpose
from lanekeeper.domain.hostplan.policy.reading import (
    PolicyInvalid,
    read_count,
    read_mapping,
    read_text,
)
from lanekeeper.domain.hostplan.policy.selector import PfSelector, read_selector

_DRIVER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]{0,63}")
_PF = ("pf", "vfs", "physical_network", "alias", "vf_driver", "link")
_EXAMPLE = {"pf": 'pf: "0000:21:00.0", or pf: {netdev: ens1}', "vfs": "vfs: 7"}


class VfDriver(StrEnum):
    """What becomes of new VFs when no driver is named."""

    NONE = "none"  # left without a driver, ready for guests
    AUTO = "auto"  # the kernel's own choice takes them


@dataclass(frozen=True, slots=True, kw_only=True)
class PfPolicy:
    """What one entry of ``pfs`` wants.

    Attributes:
        path: where the entry stands, as ``pfs[0]``.
        vf_driver: a driver's name, or what ``VfDriver`` offers.
        link_up: whether the PF's interface is set up; VF drivers need that. None leaves it.
    """

    path: str
    selector: PfSelector
    vfs: int
    purpose: Purpose | None = None
    vf_driver: str = VfDriver.NONE
    link_up: bool | None = True

    @property
    def autoprobe(self) -> bool:
        return self.vf_driver == VfDriver.AUTO

    @property
    def named_driver(self) -> str | None:
        return None if self.vf_driver in set(VfDriver) else self.vf_driver


def read_pf(entry: object, path: str) -> PfPolicy:
    fields = read_mapping(entry, path, _PF)
    for name in ("pf", "vfs"):
        if name not in fields:
            raise PolicyInvalid(path, f"{name} is missing", hint=_EXAMPLE[name])
    driver = fields.get("vf_driver", VfDriver.NONE)
    if driver is None:
        driver = VfDriver.NONE
    return PfPolicy(
        path=path,
        selector=read_selector(fields["pf"], f"{path}.pf"),
        vfs=read_count(fields["vfs"], f"{path}.vfs"),
        purpose=read_purpose(fields, path),
        vf_driver=read_text(driver, f"{path}.vf_driver", _DRIVER, "none, auto or a driver's name"),
        link_up=_link(fields.get("link", "up"), f"{path}.link"),
    )


def _link(value: object, path: str) -> bool | None:
    if value in ("up", True):
        return True
    if value == "leave":
        return None
    raise PolicyInvalid(path, f"is {value!r}", hint="link: up, or link: leave")
