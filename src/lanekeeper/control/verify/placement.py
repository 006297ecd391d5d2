"""Inventories, allocations, consumers and the forest of providers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from lanekeeper.control.verify.finding import BUG, Finding, key_of
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.store.records import Records, Row


def used_is_what_is_allocated(records: Records) -> Iterator[Finding]:
    """An inventory's use is the sum of its allocations."""
    taken: Counter[tuple[str, str]] = Counter()
    for row in records.allocation:
        taken[row["provider_id"], row["resource_class"]] += row["used"]
    for row in records.inventory:
        told, summed = row["used"], taken[row["provider_id"], row["resource_class"]]
        if told != summed:
            yield Finding(
                invariant="inventory.used", table="inventory", row=_key(row),
                problem=f"{told} are used, and allocations come to {summed}",
                remedy=BUG,
            )  # fmt: skip


def capacity_follows_from_the_inventory(records: Records) -> Iterator[Finding]:
    """``capacity`` is ``int((total - reserved) * allocation_ratio)``."""
    for row in records.inventory:
        ratio = row["allocation_ratio"]
        right = Inventory(
            total=row["total"], reserved=row["reserved"], allocation_ratio=ratio
        ).capacity
        if row["capacity"] != right:
            yield Finding(
                invariant="inventory.capacity", table="inventory", row=_key(row),
                problem=f"the capacity is {row['capacity']}, and by its parts {right}",
                remedy="have the inventory written anew: by its client, or by the host's agent",
            )  # fmt: skip


def use_is_within_capacity(records: Records) -> Iterator[Finding]:
    """Use beyond capacity is a notice: Placement lets an inventory be lowered below its use."""
    for row in records.inventory:
        if row["used"] > row["capacity"]:
            yield Finding(
                invariant="inventory.over", table="inventory", row=_key(row),
                problem=f"{row['used']} are used of {row['capacity']}",
                remedy="nothing more is given until enough is given back, or there is more",
                notice=True,
            )  # fmt: skip


def allocations_refer_to_what_is_there(records: Records) -> Iterator[Finding]:
    """An allocation's provider, inventory and consumer exist."""
    providers, consumers = records.by_id("resource_provider"), records.by_id("consumer")
    inventories = {(row["provider_id"], row["resource_class"]) for row in records.inventory}
    for row in records.allocation:
        lacking = [
            what
            for what, is_there in (
                ("provider", row["provider_id"] in providers),
                ("inventory", (row["provider_id"], row["resource_class"]) in inventories),
                ("consumer", row["consumer_id"] in consumers),
            )
            if not is_there
        ]
        if lacking:
            yield Finding(
                invariant="allocation.refers", table="allocation",
                row=key_of(row["consumer_id"], row["provider_id"], row["resource_class"]),
                problem=f"its {' and its '.join(lacking)} is not there",
                remedy="openstack resource provider allocation delete CONSUMER; else " + BUG,
            )  # fmt: skip


def consumers_consume(records: Records) -> Iterator[Finding]:
    """A consumer has an allocation or a claim."""
    holders = {row["consumer_id"] for row in (*records.allocation, *records.claim)}
    for row in records.consumer:
        if row["id"] not in holders:
            yield Finding(
                invariant="consumer.empty", table="consumer", row=row["id"],
                problem="it has neither an allocation nor a device", remedy=BUG,
            )  # fmt: skip


def providers_are_trees(records: Records) -> Iterator[Finding]:
    """Parents lead to a root without a loop, and ``root_id`` names it."""
    providers = records.by_id("resource_provider")
    for row in records.resource_provider:
        root, problem = _root(row, providers)
        if not problem and row["root_id"] != root:
            problem = f"its root is called {row['root_id']}, and its parents lead to {root}"
        if problem:
            yield Finding(
                invariant="provider.tree", table="resource_provider", row=row["id"],
                problem=f"{row['name']}: {problem}", remedy=BUG,
            )  # fmt: skip


def _root(row: Row, providers: Mapping[str, Row]) -> tuple[str, str]:
    """Where the parents lead, or what is wrong on the way."""
    seen = [row["id"]]
    while (parent := row["parent_id"]) is not None:
        if parent in seen:
            return "", "its parents run in a circle"
        if parent not in providers:
            return "", f"parent {parent} is not there"
        seen.append(parent)
        row = providers[parent]
    return str(row["id"]), ""


def own_providers_have_their_host(records: Records) -> Iterator[Finding]:
    """What hosts and devices own names a host that is there; a host's own provider has its id."""
    hosts = records.by_id("host")
    for row in records.resource_provider:
        host = hosts.get(row["host_id"] or "")
        if row["owner"] == "api":
            problem = "a client made it, and it names a host" if row["host_id"] else ""
        elif host is None:
            problem = f"its host {row['host_id']} is not there"
        elif (row["owner"] == "host") != (row["id"] == host["id"]):
            problem = f"it is owned by a {row['owner']}, and its id is not as that has it"
        elif row["root_id"] != host["id"]:
            problem = f"it is not below its host {host['name']}"
        else:
            problem = ""
        if problem:
            yield Finding(
                invariant="provider.host", table="resource_provider", row=row["id"],
                problem=f"{row['name']}: {problem}", remedy=BUG,
            )  # fmt: skip


def _key(row: Row) -> str:
    return key_of(row["provider_id"], row["resource_class"])
