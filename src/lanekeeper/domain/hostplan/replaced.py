"""Which functions a policy was applied to, by address and ids; another one there is refused.

An entry that names an address means the card that was there when it was applied. A slot, a name
or a place in the order are no better; one that names ids, a class or a serial number says itself
what it means.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from lanekeeper.domain.hostplan.choice import Choice, choose
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.selector import DeviceSelector
from lanekeeper.domain.hostplan.step import Refusal
from lanekeeper.domain.pci.device import PciDevice

_RULE = re.compile(
    r'KERNEL=="(?P<address>[^"]+)", ATTR\{vendor\}=="0x(?P<vendor>[0-9a-f]{4})", '
    r'ATTR\{device\}=="0x(?P<product>[0-9a-f]{4})"'
)


def identities(
    policy: Policy, host: HostFacts, known: Mapping[str, str], without: Collection[str] = ()
) -> dict[str, str]:
    """Return the ids of each function that *policy* means, by its address.

    While some entry has nothing here, or is one of those *without*, the functions *known* before
    which are gone or not looked at are kept in mind: another one there is not theirs.
    """
    choice = choose(policy, host, without)
    found = {str(device.address): _ids(device) for _, _, device in _of(choice)}
    here = {str(device.address) for device in host.devices} - {*map(str, choice.left)}
    gone = {at: ids for at, ids in known.items() if at not in here} if choice.is_partial else {}
    return gone | found


def identities_of_rules(rules: str) -> dict[str, str]:
    """Return the same from udev rules: releases before kept them nowhere else."""
    return {
        each["address"]: f"{each['vendor']}:{each['product']}" for each in _RULE.finditer(rules)
    }


def replaced_refusals(
    policy: Policy, host: HostFacts, known: Mapping[str, str], accepted: Collection[str] = ()
) -> Iterator[Refusal]:
    """Refuse functions that are others than those *known* from the last apply at their address.

    Args:
        policy: what is wanted.
        host: as it is.
        known: ids by address.
        accepted: addresses whose new function the operator knows of.
    """
    for path, selector, device in _chosen(policy, host):
        address, ids = str(device.address), _ids(device)
        before = known.get(address, ids)
        if ids == before or address in accepted or _tells(selector):
            continue
        reason = f"{ids} is at {address}, where the last apply found {before}: it was replaced"
        fix = (
            f"if it is meant, `lanekeeper host apply --accept-replaced {address}`, "
            f'or ids: "{ids}" beside its address in the entry; else take the entry out'
        )
        yield Refusal("device-replaced", f"{path} ({address})", reason, fix)


def is_news(now: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """Whether another function is where one was *known*, so that it has to be kept in mind."""
    return any(known.get(address, ids) != ids for address, ids in now.items())


def _chosen(policy: Policy, host: HostFacts) -> Iterator[tuple[str, DeviceSelector, PciDevice]]:
    return _of(choose(policy, host))


def _of(choice: Choice) -> Iterator[tuple[str, DeviceSelector, PciDevice]]:
    yield from ((entry.path, entry.selector, pf) for entry, pf in choice.pfs)
    yield from ((whole.path, whole.selector, device) for whole, device in choice.devices)


def _ids(device: PciDevice) -> str:
    return f"{device.vendor_id:04x}:{device.product_id:04x}"


def _tells(selector: DeviceSelector) -> bool:
    """Whether an entry says which kind it means, whatever was there before."""
    given = (selector.ids, selector.product, selector.class_code, selector.serial)
    return any(each is not None for each in given)
