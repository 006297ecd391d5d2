"""What a host would be for the scheduler if a host policy were applied to it.

VFs that come are as the policy says and the agent's configuration is to say: ``host plan`` prints
those lines. Where the policy names no purpose they are as the PF's other VFs are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lanekeeper.domain.hostplan.choice import choose
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.device import DevicePolicy
from lanekeeper.domain.hostplan.policy.kernel import HugePages
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.vf import VfWish
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.pci.request import Offered
from lanekeeper.domain.scheduling.claimed import with_ties
from lanekeeper.domain.scheduling.host import AWAY, HostDevice, HostView, Standing
from lanekeeper.domain.topology.cell import MEMORY, Amount, HostCell, pages_of

Ids = tuple[int, int]
"""Vendor and product."""
_IN_USE = frozenset({Standing.HELD, Standing.CLEANING, Standing.QUARANTINED})
_MIB_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """A host as it would be.

    Attributes:
        view: as it is, where the policy would be refused.
        changes: what would be otherwise, one sentence each.
        refusals: what of the policy could not be, one sentence each.
        unmet: entries that mean nothing there, with what is there.
    """

    view: HostView
    changes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    unmet: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Draft:
    """The host while the policy is laid over it.

    Attributes:
        known: what guests may have of it now, by address.
        vfs: VFs that are told, by their PF's address.
    """

    view: HostView
    known: Mapping[str, HostDevice]
    vfs: Mapping[PciAddress, Sequence[PciDevice]]
    vf_ids: Mapping[Ids, Ids]
    devices: dict[str, HostDevice]
    changes: list[str]
    refusals: list[str]
    networks: set[str] = field(default_factory=set)


def suppose(
    view: HostView, policy: Policy, facts: HostFacts, vf_ids: Mapping[Ids, Ids]
) -> Supposed:
    """Say what *view* would be under *policy*.

    Args:
        view: the host now.
        policy: a whole host policy; only what servers are given counts.
        facts: its PFs, and what is listed of its devices.
        vf_ids: of PFs of some kind, what their VFs are: known from this host or another one.
    """
    chosen = choose(policy, facts)
    vfs: dict[PciAddress, list[PciDevice]] = defaultdict(list)
    for device in facts.devices:
        if device.parent is not None:
            vfs[device.parent].append(device)
    draft = _Draft(
        view=view,
        known={one.address: one for one in view.devices if one.standing not in AWAY},
        vfs=vfs,
        vf_ids=vf_ids,
        devices={one.id: one for one in view.devices},
        changes=[],
        refusals=[f"{one.subject}: {one.reason}" for one in chosen.refusals],
    )
    for entry, pf in chosen.pfs:
        _lay_card(draft, entry, pf)
    for whole, device in chosen.devices:
        _lay_whole(draft, whole, device)
    cells = tuple(_cell(draft, cell, policy.huge_pages) for cell in view.cells)
    nodes = {cell.id for cell in view.cells}
    draft.refusals += (
        f"{pool.path}: there is no NUMA node {pool.node}"
        for pool in policy.huge_pages
        if nodes and pool.node not in nodes
    )
    unmet = {one.subject: f"{one.reason}. {one.fix}" for one in chosen.unmet}
    if draft.refusals:
        return Supposed(view=view, refusals=tuple(draft.refusals), unmet=unmet)
    return Supposed(
        view=replace(
            view,
            devices=with_ties(tuple(sorted(draft.devices.values(), key=lambda one: one.address))),
            cells=cells,
            physical_networks=view.physical_networks | draft.networks,
        ),
        changes=tuple(draft.changes),
        unmet=unmet,
    )


def _lay_card(draft: _Draft, entry: PfPolicy, pf: PciDevice) -> None:
    if entry.vfs > pf.total_vfs:
        draft.refusals.append(
            f"{entry.path}: {entry.vfs} VFs asked, {pf.address} can have {pf.total_vfs}"
        )
        return
    told = {vf.vf_index or 0: _listed(draft, vf) for vf in draft.vfs.get(pf.address, ())}
    there = {index: vf for index, vf in sorted(told.items()) if vf is not None}
    held = [one.address for one in there.values() if one.standing is Standing.HELD]
    if held and entry.vfs != pf.num_vfs:
        draft.refusals.append(
            f"{entry.path}: {', '.join(held)} held by guests, and the number of VFs of "
            f"{pf.address} changes only through 0"
        )
        return
    ids = draft.vf_ids.get((pf.vendor_id, pf.product_id))
    if entry.vfs > len(there) and ids is None:
        draft.refusals.append(
            f"{entry.path}: no host has a VF of {pf.vendor_id:04x}:{pf.product_id:04x}, so "
            f"nobody knows what those of {pf.address} would be"
        )
        return
    for index, vf in there.items():
        if index >= entry.vfs and vf.standing not in _IN_USE:
            del draft.devices[vf.id]
    like = _like(draft, pf, there)
    served = 0
    for index in range(entry.vfs):
        wish = entry.of(index)
        vf = there.get(index) or replace(
            like, id=f"{like.id} VF {index}", address=f"{pf.address} VF {index}"
        )
        tags = _tags(wish, vf)
        if tags is None:
            continue
        served += 1
        if wish.purpose is not None and wish.purpose.physical_network and pf.netdev:
            draft.networks.add(wish.purpose.physical_network)
        draft.devices[vf.id] = replace(vf, offered=_offered(ids, vf, tags, pf))
    _tell(draft, entry, pf, there=there, served=served)


def _tell(
    draft: _Draft, entry: PfPolicy, pf: PciDevice, *, there: Mapping[int, HostDevice], served: int
) -> None:
    """Say what is otherwise with the VFs of a card."""
    if entry.vfs != pf.num_vfs:
        draft.changes.append(f"{pf.address} has {entry.vfs} VFs instead of {pf.num_vfs}")
    kept = [one.address for at, one in there.items() if at >= entry.vfs and one.id in draft.devices]
    if kept:
        draft.changes.append(f"{', '.join(kept)} stays until it is clean, since it is in use")
    if served < entry.vfs:
        draft.changes.append(
            f"{entry.vfs - served} VFs of {pf.address} serve nobody: {entry.path} names no "
            "physical_network or alias for them, and none of its VFs is listed now"
        )
    changed = {
        str(purpose)
        for at, one in there.items()
        if at < entry.vfs
        and (purpose := entry.of(at).purpose) is not None
        and draft.devices[one.id].offered != one.offered
    }
    if changed:
        draft.changes.append(f"VFs of {pf.address} are for {', '.join(sorted(changed))}")


def _listed(draft: _Draft, device: PciDevice) -> HostDevice | None:
    """What is known of a device that guests may have; None where they may not."""
    return draft.known.get(str(device.address))


def _like(draft: _Draft, pf: PciDevice, there: Mapping[int, HostDevice]) -> HostDevice:
    """What all new VFs of *pf* are like."""
    whole = _listed(draft, pf)
    units = {one.unit for one in there.values()}
    some = next(iter(there.values()), None)
    pf_id = whole.id if whole else some.pf_id if some else f"{draft.view.id} {pf.address}"
    is_barred = whole is not None and whole.standing in (*_IN_USE, Standing.SPENT)
    unfit = next((one.unfit for one in (whole, some) if one is not None), "")
    return HostDevice(
        id=str(pf_id),
        address=str(pf.address),
        offered=some.offered if some else Offered.of(pf, {}),
        standing=Standing.UNFIT if unfit else Standing.BLOCKED if is_barred else Standing.FREE,
        unfit=unfit,
        pf_id=pf_id,
        parts_held=next((one.parts_held for one in (some, whole) if one is not None), 0),
        whole_offered=whole is not None,
        numa_node=pf.numa_node,
        provider_id=some.provider_id if some else None,
        pcie_root=pf.pcie_root,
        unit=units.pop() if len(units) == 1 and len(there) > 1 else None,
        bandwidth=next((one.bandwidth for one in (some, whole) if one is not None), None),
    )


def _tags(wish: VfWish, like: HostDevice) -> dict[str, str] | None:
    """The tags of a VF's entry; None for one that no entry lists."""
    if wish.purpose is None:
        is_known = like.offered.dev_type is DeviceType.VF
        return {**like.offered.tags, **dict(wish.tags)} if is_known else None
    network = wish.purpose.physical_network
    return {**({"physical_network": network} if network else {}), **dict(wish.tags)}


def _offered(ids: Ids | None, vf: HostDevice, tags: Mapping[str, str], pf: PciDevice) -> Offered:
    vendor, product = ids or (vf.offered.vendor_id, vf.offered.product_id)
    return Offered.from_text(
        f"{vendor:x}",
        f"{product:x}",
        DeviceType.VF,
        tags,
        pf_driver=pf.driver,
        interface=vf.offered.interface,
    )


def _lay_whole(draft: _Draft, entry: DevicePolicy, device: PciDevice) -> None:
    listed = _listed(draft, device)
    if entry.purpose is None:
        return
    network = entry.purpose.physical_network
    tags = {**({"physical_network": network} if network else {}), **dict(entry.tags)}
    offered = Offered.of(device, tags)
    if listed is None:  # a PF that was not given away
        parts = max((one.parts_held for one in _vfs(draft, device)), default=0)
        listed = HostDevice(
            id=f"{draft.view.id} {device.address}",
            address=str(device.address),
            offered=offered,
            standing=Standing.BLOCKED if parts else Standing.FREE,
            parts_held=parts,
            numa_node=device.numa_node,
            pcie_root=device.pcie_root,
        )
        ours = {one.id for one in _vfs(draft, device)}
        for one in ours:
            vf = draft.devices[one]
            draft.devices[one] = replace(vf, pf_id=listed.id, whole_offered=True)
    if network and device.netdev:
        draft.networks.add(network)
    if draft.devices.get(listed.id) != replace(listed, offered=offered):
        draft.changes.append(f"{device.address} is for {entry.purpose}")
    draft.devices[listed.id] = replace(listed, offered=offered)


def _vfs(draft: _Draft, pf: PciDevice) -> Iterator[HostDevice]:
    told = {str(vf.address) for vf in draft.vfs.get(pf.address, ())}
    for one in draft.devices.values():
        is_new = one.address.startswith(f"{pf.address} VF ")
        if is_new or (one.address in told and one.standing not in AWAY):
            yield one


def _cell(draft: _Draft, cell: HostCell, pools: tuple[HugePages, ...]) -> HostCell:
    for pool in pools:
        if pool.node != cell.id:
            continue
        what, before = pages_of(pool.size_kib), cell.amount(pages_of(pool.size_kib))
        if before.total == pool.pages:
            continue
        more_mib = (pool.pages - before.total) * pool.size_kib // _MIB_KIB
        small = cell.amount(MEMORY)
        ratio = small.capacity / small.total if small.total else 1.0
        left = small.total - more_mib
        if left < 0:
            draft.refusals.append(
                f"{pool.path}: {pool.pages} pages of {pool.size_kib} KiB asked, NUMA node "
                f"{cell.id} has {small.total} MiB beside the {before.total} that are there"
            )
            continue
        draft.changes.append(
            f"NUMA node {cell.id} keeps {pool.pages} pages of {pool.size_kib} KiB instead of "
            f"{before.total}"
        )
        amounts = {
            **cell.amounts,
            what: Amount(pool.pages, pool.pages, before.used),
            MEMORY: Amount(left, int(left * ratio), small.used),
        }
        cell = replace(cell, amounts=amounts)
    return cell
