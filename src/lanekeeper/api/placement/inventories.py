"""``/resource_providers/{id}/inventories`` and ``…/usages``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from msgspec import Meta

from lanekeeper.api.placement.views import inventory_view, rule
from lanekeeper.api.row import Call, Reply, Row, Strict
from lanekeeper.control.placement.resource_provider import (
    delete_inventories,
    list_inventories,
    put_inventories,
)
from lanekeeper.domain.errors import NotFound
from lanekeeper.domain.placement.inventory import INT_MAX, Inventory
from lanekeeper.domain.placement.provider import Provider

Amount = Annotated[int, Meta(ge=0, le=INT_MAX)]
Unit = Annotated[int, Meta(ge=1, le=INT_MAX)]


class InventoryBody(Strict, frozen=True):
    """One inventory; a record may carry the class and generation that it was read with."""

    total: Unit
    reserved: Amount = 0
    min_unit: Unit = 1
    max_unit: Unit = INT_MAX
    step_size: Unit = 1
    allocation_ratio: Annotated[float, Meta(ge=0, le=3.40282e38)] = 1.0
    resource_class: str | None = None
    resource_provider_generation: int | None = None

    def record(self) -> Inventory:
        return Inventory(
            total=self.total,
            reserved=self.reserved,
            min_unit=self.min_unit,
            max_unit=self.max_unit,
            step_size=self.step_size,
            allocation_ratio=self.allocation_ratio,
        )


class InventoryCreate(InventoryBody, frozen=True, kw_only=True):
    resource_class: str


class InventoriesBody(Strict, frozen=True):
    inventories: dict[str, InventoryBody]
    resource_provider_generation: int


class OneInventoryBody(InventoryBody, frozen=True, kw_only=True):
    resource_provider_generation: int


def _answer(provider: Provider, inventories: Mapping[str, Inventory]) -> dict[str, Any]:
    return {
        "inventories": {name: inventory_view(record) for name, record in inventories.items()},
        "resource_provider_generation": provider.generation,
    }


def index(call: Call[None]) -> dict[str, Any]:
    """List what a provider has."""
    return _answer(*list_inventories(call.site, call.path["id"]))


def usages(call: Call[None]) -> dict[str, Any]:
    """List how much of each class is used, zero included."""
    provider, inventories = list_inventories(call.site, call.path["id"])
    return {
        "usages": {name: record.used for name, record in inventories.items()},
        "resource_provider_generation": provider.generation,
    }


def replace(call: Call[InventoriesBody]) -> dict[str, Any]:
    """Replace every inventory."""
    wanted = {name: body.record() for name, body in call.body.inventories.items()}
    generation = call.body.resource_provider_generation
    provider = put_inventories(call.site, call.path["id"], generation, wanted)
    return _answer(provider, provider.inventories)


def create(call: Call[InventoryCreate]) -> Reply:
    """Add one inventory."""
    name = call.body.resource_class
    provider = put_inventories(
        call.site, call.path["id"], None, {name: call.body.record()}, only=name, new=True
    )
    body = inventory_view(provider.inventories[name])
    return Reply(
        body={**body, "resource_provider_generation": provider.generation},
        status=HTTPStatus.CREATED,
        headers={
            "Location": f"{call.base_url}/placement/resource_providers/{provider.id}"
            f"/inventories/{name}"
        },
    )


def show(call: Call[None]) -> dict[str, Any]:
    """Show one inventory."""
    provider, inventories = list_inventories(call.site, call.path["id"])
    name = call.path["resource_class"]
    if name not in inventories:
        raise NotFound(f"No inventory of class {name} for {provider.id}")
    generation = {"resource_provider_generation": provider.generation}
    return inventory_view(inventories[name]) | generation


def update(call: Call[OneInventoryBody]) -> dict[str, Any]:
    """Replace one inventory that is there."""
    name = call.path["resource_class"]
    provider = put_inventories(
        call.site,
        call.path["id"],
        call.body.resource_provider_generation,
        {name: call.body.record()},
        only=name,
    )
    generation = {"resource_provider_generation": provider.generation}
    return inventory_view(provider.inventories[name]) | generation


def delete_all(call: Call[None]) -> None:
    """Remove every inventory."""
    delete_inventories(call.site, call.path["id"])


def delete(call: Call[None]) -> None:
    """Remove one inventory."""
    delete_inventories(call.site, call.path["id"], call.path["resource_class"])


_ALL = "/resource_providers/{id}/inventories"
_ONE = f"{_ALL}/{{resource_class}}"
_READ = rule("resource_providers:inventories:list")
_WRITE = rule("resource_providers:inventories:update")
_DELETE = rule("resource_providers:inventories:delete")
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_ALL, handler=index, policy=_READ),
    Row(
        method="GET",
        path="/resource_providers/{id}/usages",
        handler=usages,
        policy=rule("resource_providers:usages"),
    ),
    Row(method="PUT", path=_ALL, handler=replace, accepts=InventoriesBody, policy=_WRITE),
    Row(
        method="POST",
        path=_ALL,
        handler=create,
        accepts=InventoryCreate,
        policy=rule("resource_providers:inventories:create"),
    ),
    Row(
        method="DELETE",
        path=_ALL,
        handler=delete_all,
        policy=_DELETE,
        status=HTTPStatus.NO_CONTENT,
        since="1.5",
    ),
    Row(method="GET", path=_ONE, handler=show, policy=_READ),
    Row(method="PUT", path=_ONE, handler=update, accepts=OneInventoryBody, policy=_WRITE),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete,
        policy=_DELETE,
        status=HTTPStatus.NO_CONTENT,
    ),
)
