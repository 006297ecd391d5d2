"""Which functions a policy was applied to, by address, ids and serial number; another one there is
refused.

An entry that names an address means the card that was there when it was applied. A slot, a name
or a place in the order are no better; one that names a serial number says itself what it means,
and one that names ids, a class or a product says which kind: another of that kind is only told of.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.choice import Choice, choose
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector
from lanekeeper.domain.hostplan.step import Caution, Refusal
from lanekeeper.domain.pci.device import PciDevice

_RULE = re.compile(
    r'KERNEL=="(?P<address>[^"]+)", ATTR\{vendor\}=="0x(?P<vendor>[0-9a-f]{4})", '
    r'ATTR\{device\}=="0x(?P<product>[0-9a-f]{4})"'
)
_NEAR, _NEAR_MAX = 0.85, 3
_CAPABILITY = re.compile(r"(?:[0-9a-f]{2}-){7}[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a function from another one at its address.

    Attributes:
        ids: vendor and product, as ``8086:10c9``.
        serial: of the PCIe capability, or else of the vital product data; empty where none was
            told.
    """

    ids: str
    serial: str = ""

    def __str__(self) -> str:
        return f"{self.ids} with serial number {self.serial}" if self.serial else self.ids

    def is_other(self, before: Identity) -> bool:
        """Whether it is certainly not the function that was *before*."""
        return self.ids != before.ids or self._has_other_number(before)

    def _has_other_number(self, before: Identity) -> bool:
        """Compare numbers of one source: a function may tell of the other one another time."""
        is_same_source = bool(_CAPABILITY.fullmatch(self.serial)) == bool(
            _CAPABILITY.fullmatch(before.serial)
        )
        told = bool(self.serial and before.serial) and is_same_source
        return told and self.serial != before.serial


Identities = Mapping[str, Identity]
"""By address."""


def identities(
    policy: Policy, host: HostFacts, known: Identities, without: Collection[str] = ()
) -> dict[str, Identity]:
    """Return what each function is that *policy* means, by its address.

    While some entry has nothing here, or is one of those *without*, the functions *known* before
    which are gone or not looked at are kept in mind: another one there is not theirs.
    """
    choice = choose(policy, host, without)
    found = {str(each.address): _with_known(host, each, known) for _, _, each in _of(choice)}
    here = {str(device.address) for device in host.devices} - {*map(str, choice.left)}
    gone = {at: one for at, one in known.items() if at not in here} if choice.is_partial else {}
    return gone | found


def _with_known(host: HostFacts, device: PciDevice, known: Identities) -> Identity:
    """Keep the number that a function told before, and cannot be asked for now."""
    now = identity(host, device)
    before = known.get(str(device.address), now)
    is_told = bool(now.serial) or now.is_other(before)
    return now if is_told else replace(now, serial=before.serial)


def identity(host: HostFacts, device: PciDevice) -> Identity:
    ids = f"{device.vendor_id:04x}:{device.product_id:04x}"
    return Identity(ids, device.serial or host.serials.get(device.address) or "")


def identities_of_rules(rules: str) -> dict[str, Identity]:
    """Return the ids from udev rules: releases before kept them nowhere else."""
    return {
        each["address"]: Identity(f"{each['vendor']}:{each['product']}")
        for each in _RULE.finditer(rules)
    }


def replaced(
    policy: Policy, host: HostFacts, known: Identities, accepted: Collection[str] = ()
) -> Iterator[Refusal | Caution]:
    """Refuse functions that are others than those *known* from the last apply at their address.

    Of an entry that says which kind it means another of that kind is told alone.

    Args:
        policy: what is wanted.
        host: as it is.
        known: what was there, by address.
        accepted: addresses whose new function the operator knows of.
    """
    for path, selector, device in _chosen(policy, host):
        address, now = str(device.address), identity(host, device)
        before = known.get(address, now)
        if not now.is_other(before) or address in accepted or selector.serial is not None:
            continue
        is_same_kind = now.ids == before.ids
        reason = f"{now} is at {address}, where the last apply found {before}: it was replaced"
        reason += _moved(host, before)
        if not _tells_kind(selector):
            beside = f'serial: "{now.serial}"' if is_same_kind else f'ids: "{now.ids}"'
            fix = (
                f"if it is meant, `lanekeeper host apply --accept-replaced {address}`, "
                f"or {beside} beside its address in the entry; else take the entry out"
            )
            yield Refusal("device-replaced", f"{path} ({address})", reason, fix)
        elif is_same_kind:
            fix = f'serial: "{before.serial}" in the entry means that card alone'
            yield Caution("device-exchanged", f"{path} ({address})", reason, fix)


def require_there(accepted: Collection[str], host: HostFacts, known: Identities) -> None:
    """Refuse an address among *accepted* at which nothing is: nothing would come of it.

    Raises:
        Invalid: it names those at which another function is than was *known*, and near ones.
    """
    now = {str(device.address): identity(host, device) for device in host.devices}
    here = {*now, *(name for name, _ in host.device_faults)}
    for address in accepted:
        if address in here:
            continue
        meant = [at for at, one in known.items() if at in now and now[at].is_other(one)]
        near = sorted(get_close_matches(address, now, n=_NEAR_MAX, cutoff=_NEAR))
        what = f"replaced is {', '.join(meant)}" if meant else "no function was replaced"
        hint = f"{what}; near to it {'are' if len(near) > 1 else 'is'} {', '.join(near)}"
        raise Invalid(
            f"--accept-replaced {address}: no PCI function has this address",
            hint=hint if near else f"{what}; `lanekeeper host show` lists what is here",
        )


def _moved(host: HostFacts, before: Identity) -> str:
    """Say where the card is now that was there before, where its number tells."""
    at = [str(each.address) for each in host.devices if identity(host, each) == before]
    return f" (that one is at {at[0]} now)" if before.serial and len(at) == 1 else ""


def is_news(now: Identities, known: Identities) -> bool:
    """Whether another function is where one was *known*, so that it has to be kept in mind."""
    return any(one.is_other(known.get(address, one)) for address, one in now.items())


def _chosen(policy: Policy, host: HostFacts) -> Iterator[tuple[str, DeviceSelector, PciDevice]]:
    return _of(choose(policy, host))


def _of(choice: Choice) -> Iterator[tuple[str, DeviceSelector, PciDevice]]:
    yield from ((entry.path, entry.selector, pf) for entry, pf in choice.pfs)
    yield from ((whole.path, whole.selector, device) for whole, device in choice.devices)


def _tells_kind(selector: DeviceSelector) -> bool:
    """Whether an entry says which kind it means, whatever was there before."""
    return any(each is not None for each in (selector.ids, selector.product, selector.class_code))
