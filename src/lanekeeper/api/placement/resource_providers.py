"""``/resource_providers``: list, make, show, change, delete."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from lanekeeper.api.placement.query import aggregates_asked, traits_asked
from lanekeeper.api.placement.schema import OPTIONAL_UUID, UUID, Form, record, text
from lanekeeper.api.placement.views import (
    GONE,
    PROVIDER,
    at_least,
    canonical,
    check_query,
    fresh,
    location,
    provider_view,
    rule,
)
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.placement.resource_provider import (
    create_provider,
    delete_provider,
    list_providers,
    show_provider,
    update_provider,
)
from lanekeeper.domain.placement.listing import ProviderFilter
from lanekeeper.domain.placement.query import parse_resources

_NAME = {"name": text(1, 200)}
_PARENT = {"parent_provider_uuid": OPTIONAL_UUID}
_CREATE = Form(record({**_NAME, "uuid": UUID}, required=["name"]))
_CREATE_NESTED = Form(record({**_NAME, "uuid": UUID, **_PARENT}, required=["name"]))
_UPDATE = Form(record(_NAME, required=["name"]))
_UPDATE_NESTED = Form(record({**_NAME, **_PARENT}, required=["name"]))
_FILTERS = (
    (0, {"name": text(), "uuid": UUID}),
    (3, {"member_of": text()}),
    (4, {"resources": text()}),
    (14, {"in_tree": UUID}),
    (18, {"required": text()}),
)
_LISTS = tuple(
    (
        since,
        Form(
            record(
                {name: form for s, part in _FILTERS if s <= since for name, form in part.items()}
            )
        ),
    )
    for since, _ in reversed(_FILTERS)
)


def index(call: Call[bytes]) -> Reply:
    """List providers that pass every filter on their own."""
    form = next(form for since, form in _LISTS if at_least(call, since))
    asked = check_query(call, form)
    wanted = ProviderFilter(
        name=asked.get("name", ""),
        id=canonical(asked["uuid"], "uuid") if "uuid" in asked else "",
        in_tree=canonical(asked["in_tree"], "in_tree") if "in_tree" in asked else "",
        resources=parse_resources(asked["resources"]) if "resources" in asked else (),
        traits=traits_asked(call.asked_all("required"), call.microversion.minor),
        aggregates=aggregates_asked(call.asked_all("member_of"), call.microversion.minor),
    )
    found = list_providers(call.site, wanted)
    body = {"resource_providers": [provider_view(provider, call) for provider in found]}
    return fresh(call, body, max((provider.updated_at for provider in found), default=None))


def create(call: Call[bytes]) -> Reply:
    """Make a provider of one's own."""
    body = (_CREATE_NESTED if at_least(call, 14) else _CREATE).read(call.body)
    own, parent = body.get("uuid"), body.get("parent_provider_uuid")
    made = create_provider(
        call.site,
        body["name"],
        canonical(own, "uuid") if own else None,
        canonical(parent, "parent_provider_uuid") if parent else None,
    )
    there = location(call, f"/resource_providers/{made.id}")
    if at_least(call, 20):
        return fresh(call, provider_view(made, call), made.updated_at, headers=there)
    return Reply(status=HTTPStatus.CREATED, headers=there)


def show(call: Call[bytes]) -> Reply:
    """Show one provider."""
    provider = show_provider(call.site, call.path["id"])
    return fresh(call, provider_view(provider, call), provider.updated_at)


def update(call: Call[bytes]) -> Reply:
    """Rename or move a provider of one's own."""
    show_provider(call.site, call.path["id"])  # that it is not there comes before what was sent
    body = (_UPDATE_NESTED if at_least(call, 14) else _UPDATE).read(call.body)
    parent: tuple[str | None] | None = None
    if "parent_provider_uuid" in body:
        asked = body["parent_provider_uuid"]
        parent = (canonical(asked, "parent_provider_uuid") if asked else None,)
    changed = update_provider(
        call.site, call.path["id"], body["name"], parent, may_move=at_least(call, 37)
    )
    return fresh(call, provider_view(changed, call), changed.updated_at)


def delete(call: Call[bytes]) -> None:
    """Delete a provider of one's own."""
    delete_provider(call.site, call.path["id"])


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
        accepts=bytes,
        policy=rule("resource_providers:create"),
    ),
    Row(method="GET", path=PROVIDER, handler=show, policy=rule("resource_providers:show")),
    Row(
        method="PUT",
        path=PROVIDER,
        handler=update,
        accepts=bytes,
        policy=rule("resource_providers:update"),
    ),
    Row(
        method="DELETE",
        path=PROVIDER,
        handler=delete,
        policy=rule("resource_providers:delete"),
        status=GONE,
    ),
)
