"""Devices, cards and claims: who holds what agrees wherever it is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from lanekeeper.control.verify.finding import BUG, Finding
from lanekeeper.domain.pci.device import DeviceState, DeviceType, Reserve
from lanekeeper.store.placement.host_provider import device_provider_id
from lanekeeper.store.records import Records, Row

_DIRTY = (DeviceState.CLEANING, DeviceState.QUARANTINED)
_SPENT = (Reserve.SPENT, Reserve.RETIRED_SPENT)


def claimed_devices_are_held(records: Records) -> Iterator[Finding]:
    """Every claim's device is there and held."""
    devices = records.by_id("device")
    for claim in records.claim:
        device = devices.get(claim["device_id"])
        if device is None:
            problem = f"{claim['consumer_id']} claims a device that is not there"
        elif device["state"] != DeviceState.HELD:
            problem = f"{claim['consumer_id']} claims a device that is {device['state']}"
        else:
            continue
        yield Finding(
            invariant="claim.device", table="claim", row=claim["device_id"], problem=problem,
            remedy=BUG,
        )  # fmt: skip


def held_devices_are_claimed_once(records: Records) -> Iterator[Finding]:
    """Every held device has exactly one claim."""
    claims = Counter(claim["device_id"] for claim in records.claim)
    for device in records.device:
        if device["state"] == DeviceState.HELD and claims[device["id"]] != 1:
            yield Finding(
                invariant="device.claim", table="device", row=device["id"],
                problem=f"{device['address']} is held and has {claims[device['id']]} claims, not 1",
                remedy=BUG,
            )  # fmt: skip


def pfs_have_cards(records: Records) -> Iterator[Finding]:
    """Every PF has its card, nothing else has one."""
    devices = records.by_id("device")
    cards = {card["pf_device_id"] for card in records.card}
    for device in records.device:
        if device["dev_type"] == DeviceType.PF and device["id"] not in cards:
            yield _card(
                device["id"], f"PF {device['address']} has no card: its VFs are not counted"
            )
    for card_id in sorted(cards):
        owner = devices.get(card_id)
        if owner is None or owner["dev_type"] != DeviceType.PF:
            what = owner["dev_type"] if owner else "not there"
            yield _card(card_id, f"there is a card for a device that is {what}")


def cards_are_counted_right(records: Records) -> Iterator[Finding]:
    """A card says what follows from the rows of its PF and VFs, as ``store/device/card.py`` has it.

    Whole by the PF's holder, or by its last one until the PF is clean, or while it is spent; else
    in as many parts as VFs are held, or dirty and there, listed or not, or spent.
    """
    devices = records.by_id("device")
    holder = {claim["device_id"]: claim["consumer_id"] for claim in records.claim}
    vfs = {card["pf_device_id"]: card["vfs"] or 0 for card in records.card}
    parts = Counter(
        row["pf_id"]
        for row in records.device
        if row["pf_id"] and _counts(row, vfs.get(row["pf_id"], 0))
    )
    for card in records.card:
        pf = devices.get(card["pf_device_id"])
        if pf is None:
            continue
        whole = holder.get(pf["id"], card["whole_holder"])
        if pf["state"] == DeviceState.AVAILABLE:
            whole = "spent" if pf["reserved"] in _SPENT else None
        elif whole is None:
            yield _card(pf["id"], f"PF {pf['address']} is {pf['state']} and its card names nobody")
        expected = (whole, 0 if whole is not None else parts[pf["id"]])
        told = (card["whole_holder"], card["parts_held"])
        if told != expected:
            yield _card(
                pf["id"],
                f"the card of {pf['address']} is held by {told[0] or 'nobody'} whole and in "
                f"{told[1]} parts; its devices say {expected[0] or 'nobody'} and {expected[1]}",
            )
        if told[0] is not None and told[1]:
            yield _card(pf["id"], f"the card of {pf['address']} is held whole and in parts")


def _counts(device: Row, vfs: int) -> bool:
    is_there = device["present"] or (device["vf_index"] is not None and device["vf_index"] < vfs)
    is_dirty = is_there and device["state"] in _DIRTY
    return device["state"] == DeviceState.HELD or is_dirty or device["reserved"] in _SPENT


def pfs_and_vfs_are_not_held_together(records: Records) -> Iterator[Finding]:
    """No VF is held while its PF is."""
    devices = records.by_id("device")
    for device in records.device:
        pf = devices.get(device["pf_id"] or "")
        if pf and device["state"] == pf["state"] == DeviceState.HELD:
            yield Finding(
                invariant="device.whole_or_parts", table="device", row=device["id"],
                problem=f"VF {device['address']} is held, and so is its PF {pf['address']}",
                remedy=BUG,
            )  # fmt: skip


def units_have_one_holder(records: Records) -> Iterator[Finding]:
    """What can only be given away together has not more than one holder."""
    holders = {claim["device_id"]: claim["consumer_id"] for claim in records.claim}
    by_unit: dict[tuple[str, str], set[str]] = defaultdict(set)
    for device in records.device:
        if device["unit"] is not None and device["id"] in holders:
            by_unit[device["host_id"], device["unit"]].add(holders[device["id"]])
    for (_, unit), its in sorted(by_unit.items()):
        if len(its) > 1:
            yield Finding(
                invariant="device.unit", table="device", row=unit,
                problem=f"{', '.join(sorted(its))} each hold a part of what belongs together",
                remedy=BUG,
            )  # fmt: skip


def vfs_hang_on_their_pf(records: Records) -> Iterator[Finding]:
    """Exactly VFs have a PF, and it is a PF of the same host."""
    devices = records.by_id("device")
    for device in records.device:
        pf = devices.get(device["pf_id"] or "")
        is_vf = device["dev_type"] == DeviceType.VF
        if device["pf_id"] and pf is None:
            problem = f"its PF {device['pf_id']} is not there"
        elif is_vf != (pf is not None):
            problem = (
                "it is a VF without a PF" if is_vf else f"it is {device['dev_type']} with a PF"
            )
        elif pf and pf["dev_type"] != DeviceType.PF:
            problem = f"what is called its PF is {pf['dev_type']}"
        elif pf and pf["host_id"] != device["host_id"]:
            problem = f"its PF {pf['address']} is another host's"
        else:
            continue
        yield Finding(
            invariant="device.pf", table="device", row=device["id"],
            problem=f"{device['address']}: {problem}",
            remedy="restart the host's agent, which tells its devices anew; else " + BUG,
        )  # fmt: skip


def devices_belong_to_their_providers(records: Records) -> Iterator[Finding]:
    """A device counts for a provider of its own host; a listed one that is there, its card's."""
    providers = records.by_id("resource_provider")
    for device in records.device:
        provider = providers.get(device["provider_id"] or "")
        own = device_provider_id(device["host_id"], device["pf_id"] or device["id"])
        parent = provider["parent_id"] if provider else None
        if device["provider_id"] and provider is None:
            problem = f"its provider {device['provider_id']} is not there"
        elif provider and provider["host_id"] != device["host_id"]:
            problem = f"its provider {provider['name']} is another host's"
        elif device["present"] and device["listed"] and own not in (device["provider_id"], parent):
            problem = f"it counts for provider {device['provider_id']}, not for {own}"
        elif device["present"] and not device["listed"] and device["provider_id"]:
            problem = "it is not listed and counts for a provider"
        else:
            continue
        yield Finding(
            invariant="device.provider", table="device", row=device["id"],
            problem=f"{device['address']}: {problem}",
            remedy="restart the host's agent, which tells its devices anew; else " + BUG,
        )  # fmt: skip


def _card(pf_id: str, problem: str) -> Finding:
    return Finding(invariant="card.count", table="card", row=pf_id, problem=problem, remedy=BUG)
