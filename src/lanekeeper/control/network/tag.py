"""Tags of Network's things: short texts that their owner puts on them."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.network.scope import demand_owner, missing, scope
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
from lanekeeper.store import tables
from lanekeeper.store.network.network import network_list
from lanekeeper.store.network.port import port_list
from lanekeeper.store.network.security_group import security_group_list
from lanekeeper.store.network.subnet import subnet_list
from lanekeeper.store.row import row_change_list

TAGS_MAX = 64
TAG_LENGTH_MAX = 255


class Tagged(Enum):
    """What can have tags, by the name that its policies have."""

    NETWORK = ("network", "Network")
    SUBNET = ("subnet", "Subnet")
    PORT = ("port", "Port")
    SECURITY_GROUP = ("security_group", "SecurityGroup")

    def __init__(self, noun: str, kind: str) -> None:
        self.noun = noun
        self.kind = kind


_LISTS: dict[Tagged, tuple[sa.Table, Callable[..., tuple[Any, ...]]]] = {
    Tagged.NETWORK: (tables.network, network_list),
    Tagged.SUBNET: (tables.subnet, subnet_list),
    Tagged.PORT: (tables.port, port_list),
    Tagged.SECURITY_GROUP: (tables.security_group, security_group_list),
}


def show_tags(site: Site, caller: Caller, kind: Tagged, thing_id: str) -> list[str]:
    """The tags of a thing, in the order in which they were put on.

    Raises:
        NotFound: it is not there, or not for *caller* to see.
    """
    with site.database.read() as connection:
        return list(_visible(connection, caller, kind, thing_id).tags)


def change_tags(
    site: Site,
    caller: Caller,
    kind: Tagged,
    thing_id: str,
    change: Callable[[list[str]], list[str]],
) -> list[str]:
    """Replace the tags by what *change* makes of them; returns them.

    Raises:
        NotFound, Forbidden: not there, or another project's.
        Invalid: a tag is too long, or there are too many.
    """
    table, _ = _LISTS[kind]
    now = site.clock()

    def checked(tags: list[str]) -> list[str]:
        changed = change(tags)
        _check(changed)
        return changed

    def work(connection: sa.Connection) -> list[str]:
        present = _visible(connection, caller, kind, thing_id)
        demand_owner(caller, present.project_id, f"update_{kind.noun}s_tags")
        row_change_list(connection, table, thing_id, "tags", checked, now=now)
        return list(_visible(connection, caller, kind, thing_id).tags)

    return site.database.write(work)


def _check(tags: list[str]) -> None:
    if len(tags) > TAGS_MAX:
        raise Invalid(f"tags has {len(tags)} entries, at most {TAGS_MAX}")
    for tag in tags:
        if not 0 < len(tag) <= TAG_LENGTH_MAX or "," in tag or "/" in tag:
            raise Invalid(
                f"tag {tag[:64]!r} is not 1 to {TAG_LENGTH_MAX} characters without comma and slash"
            )


def _visible(connection: sa.Connection, caller: Caller, kind: Tagged, thing_id: str) -> Any:
    _, list_ = _LISTS[kind]
    found = list_(connection, {"id": (thing_id,)}, project_id=scope(caller))
    if not found:
        raise missing(kind.kind, thing_id)
    return found[0]
