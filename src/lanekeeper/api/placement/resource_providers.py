"""``/resource_providers``: list, make, show, change, delete."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from lanekeeper.api.placement.views import at_least, canonical, only, provider_view, rule
from lanekeeper.api.row import Call, Reply, Row, Strict
from lanekeeper.control.placement.resource_provider import (
    create_provider,
    delete_provider,
    forest,
    show_provider,
    update_provider,
)
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.provider import Forest, Provider
from lanekeeper.domain.placement.query import parse_aggregates, parse_resources, parse_traits

Name = Annotated[str, Meta(min_length=1, max_length=200)]
_FILTERS = {"name": 0, "uuid": 0, "member_of": 3, "resources": 4, "in_tree": 14, "required": 18}


class ProviderCreate(Strict, frozen=True):
    name: Name
    uuid: str | None = None
    parent_provider_uuid: str | None = None


class ProviderUpdate(Strict, frozen=True):
    name: Name
    parent_provider_uuid: str | UnsetType | None = UNSET


def index(call: Call[None]) -> dict[str, Any]:
    """List providers that pass every filter on their own."""
    only(call, *(name for name, since in _FILTERS.items() if call.microversion.minor >= since))
    trees = forest(call.site)
    found = [provider for provider in trees.by_id.values() if _passes(call, trees, provider)]
    return {"resource_providers": [provider_view(provider, call) for provider in found]}


def _passes(call: Call[None], trees: Forest, provider: Provider) -> bool:
    name, wanted_id = call.asked("name"), call.asked("uuid")
    if name is not None and provider.name != name:
        return False
    if wanted_id is not None and provider.id != canonical(wanted_id, "uuid"):
        return False
    in_tree = call.asked("in_tree")
    if in_tree is not None and trees.root_of(canonical(in_tree, "in_tree")) != provider.root_id:
        return False
    resources = call.asked("resources")
    if resources is not None and not provider.fits(dict(parse_resources(resources))):
        return False
    return parse_traits(call.asked_all("required")).accepts(provider.traits) and parse_aggregates(
        call.asked_all("member_of")
    ).accepts(provider.aggregates)


def create(call: Call[ProviderCreate]) -> Reply:
    """Make a provider of one's own."""
    body = call.body
    if body.parent_provider_uuid is not None and not at_least(call, 14):
        raise Invalid("Additional properties are not allowed ('parent_provider_uuid')")
    made = create_provider(
        call.site,
        body.name,
        canonical(body.uuid, "uuid") if body.uuid else None,
        canonical(body.parent_provider_uuid, "parent_provider_uuid")
        if body.parent_provider_uuid
        else None,
    )
    location = {"Location": f"{call.base_url}/placement/resource_providers/{made.id}"}
    if at_least(call, 20):
        return Reply(body=provider_view(made, call), status=HTTPStatus.OK, headers=location)
    return Reply(status=HTTPStatus.CREATED, headers=location)


def show(call: Call[None]) -> dict[str, Any]:
    """Show one provider."""
    return provider_view(show_provider(call.site, call.path["id"]), call)


def update(call: Call[ProviderUpdate]) -> dict[str, Any]:
    """Rename or move a provider of one's own."""
    parent = call.body.parent_provider_uuid
    if parent is not UNSET and not at_least(call, 14):
        raise Invalid("Additional properties are not allowed ('parent_provider_uuid')")
    changed = update_provider(
        call.site,
        call.path["id"],
        call.body.name,
        None if isinstance(parent, UnsetType) else (parent,),
        may_move=at_least(call, 37),
    )
    return provider_view(changed, call)


def delete(call: Call[None]) -> None:
    """Delete a provider of one's own."""
    delete_provider(call.site, call.path["id"])


_ONE = "/resource_providers/{id}"
ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/resource_providers",
        handler=index,
        policy=rule("resource_providers:list"),
    ),
    Row(
        method="POST",
        path="/resource_providers",
        handler=create,
        accepts=ProviderCreate,
        policy=rule("resource_providers:create"),
    ),
    Row(method="GET", path=_ONE, handler=show, policy=rule("resource_providers:show")),
    Row(
        method="PUT",
        path=_ONE,
        handler=update,
        accepts=ProviderUpdate,
        policy=rule("resource_providers:update"),
    ),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete,
        policy=rule("resource_providers:delete"),
        status=HTTPStatus.NO_CONTENT,
    ),
)
