"""``/resource_providers/{id}/inventories`` and ``…/usages``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from lanekeeper.api.placement.schema import INVENTORIES, INVENTORY, NEW_INVENTORY, Form
from lanekeeper.api.placement.views import (
    GONE,
    PROVIDER,
    at_least,
    fresh,
    inventory_view,
    location,
    rule,
)
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.host.device_history import actor_of
from lanekeeper.control.placement.inventory import (
    add_inventory,
    change_inventory,
    delete_inventories,
    delete_inventory,
    list_inventories,
    put_inventories,
)
from lanekeeper.control.placement.resource_provider import check_generation, show_provider
from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.domain.placement.inventory import Inventory

_ONE_FORM, _NEW_FORM, _ALL_FORM = Form(INVENTORY), Form(NEW_INVENTORY), Form(INVENTORIES)
_RESERVED_MAY_BE_TOTAL = 26
GENERATION = "resource_provider_generation"


def record_of(body: Mapping[str, Any]) -> Inventory:
    """Make an inventory of a body; JSON's 1.0 is the whole number 1."""
    numbers = {
        name: int(body[name])
        for name in ("total", "reserved", "min_unit", "max_unit", "step_size")
        if name in body
    }
    return Inventory(**numbers, allocation_ratio=float(body.get("allocation_ratio", 1.0)))


def _checked(call: Call[bytes], name: str, body: Mapping[str, Any], what: str) -> Inventory:
    """Make an inventory that leaves something to take.

    Raises:
        Invalid: more is reserved than there is; before 1.26 also as much.
    """
    record = record_of(body)
    least, word = 0, "greater than"
    if not at_least(call, _RESERVED_MAY_BE_TOTAL):
        least, word = 1, "greater than or equal to"
    if record.capacity < least:
        provider_id = call.path["id"]
        raise Invalid(
            f"Unable to {what} inventory for resource provider {provider_id}: Invalid inventory "
            f"for '{name}' on resource provider '{provider_id}'. "
            f"The reserved value is {word} total."
        )
    return record


def _one(call: Call[bytes], record: Inventory, generation: int, **more: Any) -> Reply:
    return fresh(call, {**inventory_view(record), GENERATION: generation}, **more)


def index(call: Call[bytes]) -> Reply:
    """List what a provider has."""
    provider, stocks = list_inventories(call.site, call.path["id"])
    body = {
        "inventories": {name: inventory_view(stock.record) for name, stock in stocks.items()},
        GENERATION: provider.generation,
    }
    moments = [stock.updated_at for stock in stocks.values() if stock.updated_at is not None]
    return fresh(call, body, max(moments, default=None))


def usages(call: Call[bytes]) -> Reply:
    """List how much of each class is used, zero included."""
    provider, stocks = list_inventories(call.site, call.path["id"])
    used = {name: stock.record.used for name, stock in stocks.items()}
    return fresh(call, {"usages": used, GENERATION: provider.generation})


def replace(call: Call[bytes]) -> Reply:
    """Replace every inventory."""
    provider = show_provider(call.site, call.path["id"])
    body = _ALL_FORM.read(call.body)
    check_generation(provider, int(body[GENERATION]))  # told before what else is wrong
    wanted = {
        name: _checked(call, name, one, "update") for name, one in body["inventories"].items()
    }
    generation = put_inventories(
        call.site, call.path["id"], int(body[GENERATION]), wanted, by=actor_of(call.caller)
    )
    answer = {
        "inventories": {name: inventory_view(record) for name, record in wanted.items()},
        GENERATION: generation,
    }
    return fresh(call, answer)


def create(call: Call[bytes]) -> Reply:
    """Add one inventory."""
    provider_id = show_provider(call.site, call.path["id"]).id
    body = _NEW_FORM.read(call.body)
    name = body["resource_class"]
    record = _checked(call, name, body, "create")
    generation = add_inventory(call.site, provider_id, name, record)
    there = location(call, f"/resource_providers/{provider_id}/inventories/{name}")
    return _one(call, record, generation, status=HTTPStatus.CREATED, headers=there)


def show(call: Call[bytes]) -> Reply:
    """Show one inventory."""
    provider, stocks = list_inventories(call.site, call.path["id"])
    name = call.path["resource_class"]
    if name not in stocks:
        raise NotFound(f"No inventory of class {name[:255]} for {provider.id}")
    stock = stocks[name]
    return _one(call, stock.record, provider.generation, modified=stock.updated_at)


def update(call: Call[bytes]) -> Reply:
    """Replace one inventory that is there."""
    provider = show_provider(call.site, call.path["id"])
    body, name = _ONE_FORM.read(call.body), call.path["resource_class"]
    check_generation(provider, int(body[GENERATION]))
    record = _checked(call, name, body, "update")
    generation = change_inventory(
        call.site, call.path["id"], int(body[GENERATION]), name, record, by=actor_of(call.caller)
    )
    return _one(call, record, generation)


def delete_all(call: Call[bytes]) -> None:
    """Remove every inventory."""
    delete_inventories(call.site, call.path["id"])


def delete(call: Call[bytes]) -> None:
    """Remove one inventory."""
    delete_inventory(call.site, call.path["id"], call.path["resource_class"])


_ALL = f"{PROVIDER}/inventories"
_ONE = f"{_ALL}/{{resource_class}}"
_WRITE = rule("resource_providers:inventories:update")
_DELETE = rule("resource_providers:inventories:delete")
ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path=_ALL,
        handler=index,
        policy=rule("resource_providers:inventories:list"),
    ),
    Row(
        method="POST",
        path=_ALL,
        handler=create,
        accepts=bytes,
        policy=rule("resource_providers:inventories:create"),
    ),
    Row(method="PUT", path=_ALL, handler=replace, accepts=bytes, policy=_WRITE),
    Row(
        method="DELETE",
        path=_ALL,
        handler=delete_all,
        policy=_DELETE,
        status=GONE,
        since="1.5",
    ),
    Row(
        method="GET",
        path=_ONE,
        handler=show,
        policy=rule("resource_providers:inventories:show"),
    ),
    Row(method="PUT", path=_ONE, handler=update, accepts=bytes, policy=_WRITE),
    Row(method="DELETE", path=_ONE, handler=delete, policy=_DELETE, status=GONE),
    Row(
        method="GET",
        path=f"{PROVIDER}/usages",
        handler=usages,
        policy=rule("resource_providers:usages"),
    ),
)
