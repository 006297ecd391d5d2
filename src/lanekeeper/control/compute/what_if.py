"""The fleet as it would be if a host policy were applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lanekeeper.control.site import Site
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Invalid, some
from lanekeeper.domain.hostplan import observed
from lanekeeper.domain.hostplan.policy.policy import Policy, parse_policy
from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.domain.scheduling.what_if import Ids, Supposed, suppose
from lanekeeper.protocol import DeviceFact, HostFacts, PfFact
from lanekeeper.store.host.host import hosts_told

_HOSTS_NAMED = 3
_REFUSALS_SAID = 3


@dataclass(frozen=True, slots=True)
class Supposition:
    """A host policy's document, and the names of the hosts that it is thought to be applied to.

    Attributes:
        hosts: none for all.
    """

    document: object
    hosts: tuple[str, ...] = ()


def supposed_fleet(
    site: Site, fleet: Fleet, supposition: Supposition
) -> tuple[Fleet, tuple[str, ...]]:
    """The fleet with the policy applied, and what of that is to be known, one sentence each.

    A host that the policy cannot be applied to, or that has nothing which it means, stays as it is.

    Raises:
        Invalid: the policy is wrong, a host does not exist, or no host would take the policy.
    """
    policy = parse_policy(supposition.document)
    _refuse_unknown_to_controllers(policy)
    for name in supposition.hosts:
        if fleet.row_by_name(name) is None:
            raise Invalid(f"no host is called {name[:80]!r}", hint="openstack hypervisor list")
    with site.database.read() as connection:
        told = {
            one.id: typed.convert(one.facts, HostFacts)
            for one in hosts_told(connection)
            if one.facts
        }
    if not told:
        raise Invalid("no host has told of itself yet", hint="start lanekeeper agent there")
    vf_ids = _vf_ids(told)
    found = {
        view.id: suppose(view, policy, _observed(told[view.id]), vf_ids)
        for view in fleet.views
        if view.id in told and (not supposition.hosts or view.name in supposition.hosts)
    }
    notes = _notes(policy, found)
    changed = {host_id: one.view for host_id, one in found.items() if one.changes}
    return Fleet.of(changed.get(view.id, view) for view in fleet.views), notes


def _refuse_unknown_to_controllers(policy: Policy) -> None:
    """Names other than the first of an interface are not told to controllers.

    Raises:
        PolicyInvalid: an entry selects by one.
    """
    for entry in policy.pfs:
        if entry.selector.altname is not None:
            raise PolicyInvalid(
                f"{entry.path}.pf",
                "selects by altname, which agents do not tell controllers of",
                hint="for this question, select by address, netdev, ids, serial or slot",
            )


def _notes(policy: Policy, found: Mapping[str, Supposed]) -> tuple[str, ...]:
    by_text: dict[str, list[str]] = {}
    for one in found.values():
        for text in one.changes:
            by_text.setdefault(text, []).append(one.view.name)
        for text in one.refusals:
            by_text.setdefault(f"stays as it is: {text}", []).append(one.view.name)
    if found and not any(one.changes for one in found.values()):
        _refuse_fruitless(policy, found)
    notes = [f"{some(hosts, _HOSTS_NAMED)}: {text}" for text, hosts in by_text.items()]
    for path, reasons in _nowhere(found).items():
        notes.append(f"{path} means nothing on any host: {reasons}")
    return tuple(notes)


def _refuse_fruitless(policy: Policy, found: Mapping[str, Supposed]) -> None:
    """Let pass a policy that changes nothing since all is so already.

    Raises:
        Invalid: it changes nothing since no host takes it.
    """
    refused = [f"{one.view.name}: {text}" for one in found.values() for text in one.refusals]
    nowhere = [f"{path}: {reason}" for path, reason in _nowhere(found).items()]
    asked = len(policy.pfs) + len(policy.devices)
    if refused or (nowhere and len(nowhere) == asked):
        said = [*refused, *nowhere]
        more = len(said) - _REFUSALS_SAID
        raise Invalid(
            "the policy would change no host: "
            + "; ".join(said[:_REFUSALS_SAID])
            + (f"; and {more} more" if more > 0 else ""),
            hint="lanekeeper host plan says on the host itself what it would do there",
        )


def _nowhere(found: Mapping[str, Supposed]) -> dict[str, str]:
    """Entries that mean nothing on any host, with what one host says."""
    unmet = [one.unmet for one in found.values()]
    if not unmet:
        return {}
    return {
        path: reason
        for path, reason in unmet[0].items()
        if all(path in other for other in unmet[1:])
    }


def _vf_ids(told: Mapping[str, HostFacts]) -> dict[Ids, Ids]:
    """What the VFs of each kind of PF are, wherever one is seen."""
    ids: dict[Ids, Ids] = {}
    for facts in told.values():
        by_address = {one.address: one for one in facts.devices}
        for one in facts.devices:
            pf = by_address.get(one.parent or "")
            if pf is not None:
                ids[_ids(pf)] = _ids(one)
    return ids


def _ids(fact: DeviceFact | PfFact) -> Ids:
    return int(fact.vendor_id, 16), int(fact.product_id, 16)


def _observed(facts: HostFacts) -> observed.HostFacts:
    """What a policy is held against, of what a controller is told."""
    slots = {PciAddress.parse(one.address): one.slot for one in facts.pfs if one.slot}
    slots |= {PciAddress.parse(one.address): one.slot for one in facts.devices if one.slot}
    return observed.HostFacts(devices=tuple(_devices(facts)), slots=slots)


def _devices(facts: HostFacts) -> Iterator[PciDevice]:
    pfs = {one.address for one in facts.pfs}
    children = Counter(one.parent for one in facts.devices if one.parent)
    for pf in facts.pfs:
        yield PciDevice(
            address=PciAddress.parse(pf.address),
            vendor_id=int(pf.vendor_id, 16),
            product_id=int(pf.product_id, 16),
            class_code=pf.class_code,
            dev_type=DeviceType.PF,
            numa_node=pf.numa_node,
            pcie_root=pf.pcie_root,
            total_vfs=pf.vfs_max,
            num_vfs=children[pf.address] if pf.vfs is None else pf.vfs,
            driver=pf.driver,
            netdev=pf.netdev,
            serial=pf.serial,
        )
    for one in facts.devices:
        if one.address not in pfs and DeviceType(one.dev_type) is not DeviceType.PF:
            yield PciDevice(
                address=PciAddress.parse(one.address),
                vendor_id=int(one.vendor_id, 16),
                product_id=int(one.product_id, 16),
                dev_type=DeviceType(one.dev_type),
                parent=PciAddress.parse(one.parent) if one.parent else None,
                vf_index=one.vf_index,
                numa_node=one.numa_node,
                pcie_root=one.pcie_root,
                driver=one.driver,
                netdev=one.netdev,
                serial=one.serial,
            )
