"""``/allocations``, and the allocations of a provider."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from lanekeeper.api.placement import schema
from lanekeeper.api.placement.schema import Form
from lanekeeper.api.placement.views import GONE, PROVIDER, at_least, canonical, fresh, rule
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.placement.allocation import delete_allocations, put_allocations
from lanekeeper.control.placement.allocation_view import (
    ConsumerView,
    list_provider_allocations,
    show_consumer,
)
from lanekeeper.control.placement.consumer import ConsumerClaim
from lanekeeper.control.placement.usage import UNKNOWN_TYPE
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.allocation import Allocation

_OWNER_SINCE, _MAPPING_SINCE = 8, 12
_GENERATION_SINCE, _TYPE_SINCE = 28, 38


@cache
def _one_form(minor: int) -> Form:
    if minor < _MAPPING_SINCE:
        return Form(schema.listed_claim(minor))
    return Form(schema.claim(minor, emptiable=minor >= _GENERATION_SINCE))


@cache
def _many_form(minor: int) -> Form:
    return Form(schema.claims(minor))


def claim_of(call: Call[bytes], consumer_id: str, body: Mapping[str, Any]) -> ConsumerClaim:
    """Make a claim of a body that has been checked. Raises Invalid for what is no UUID."""
    settings = call.site.config.placement
    generation = body.get("consumer_generation")
    return ConsumerClaim(
        consumer_id=canonical(consumer_id, "consumer"),
        amounts=_amounts(body["allocations"]),
        project_id=body.get("project_id", settings.incomplete_consumer_project_id),
        user_id=body.get("user_id", settings.incomplete_consumer_user_id),
        generation=(None if generation is None else int(generation),)
        if at_least(call, _GENERATION_SINCE)
        else None,
        kind=body.get("consumer_type"),
    )


def _amounts(
    allocations: Mapping[str, Any] | list[Mapping[str, Any]],
) -> dict[str, dict[str, int]]:
    shares = (
        [(share["resource_provider"]["uuid"], share) for share in allocations]
        if isinstance(allocations, list)
        else list(allocations.items())
    )
    return {
        canonical(provider_id, "resource provider"): {
            name: int(amount) for name, amount in share["resources"].items()
        }
        for provider_id, share in shares
    }


def put(call: Call[bytes]) -> None:
    """Replace what a consumer holds."""
    consumer_id = call.path["consumer"]
    try:
        canonical(consumer_id, "consumer")
    except Invalid as error:
        raise Invalid(f"Malformed consumer_uuid: {consumer_id[:60]}") from error
    body = _one_form(call.microversion.minor).read(call.body)
    put_allocations(call.site, [claim_of(call, consumer_id, body)])


def post(call: Call[bytes]) -> None:
    """Replace what several consumers hold, in one transaction."""
    body = _many_form(call.microversion.minor).read(call.body)
    put_allocations(call.site, [claim_of(call, id_, one) for id_, one in body.items()])


def delete(call: Call[bytes]) -> None:
    """Give back all that a consumer holds."""
    delete_allocations(call.site, call.path["consumer"])


def show(call: Call[bytes]) -> Reply:
    """Show what a consumer holds; one that nobody knows holds nothing."""
    view = show_consumer(call.site, call.path["consumer"])
    shares = _by(view.taken, lambda line: line.provider_id)
    allocations = {
        provider: {"generation": view.provider_generations[provider], "resources": resources}
        for provider, resources in shares.items()
    }
    modified = view.row.updated_at if view.row is not None else None
    return fresh(call, {"allocations": allocations} | _owner(call, view), modified)


def _owner(call: Call[bytes], view: ConsumerView) -> dict[str, Any]:
    if view.row is None or not view.taken or not at_least(call, _MAPPING_SINCE):
        return {}
    owner: dict[str, Any] = {"project_id": view.row.project_id, "user_id": view.row.user_id}
    if at_least(call, _GENERATION_SINCE):
        owner["consumer_generation"] = view.row.generation
    if at_least(call, _TYPE_SINCE):
        owner["consumer_type"] = view.row.kind or UNKNOWN_TYPE
    return owner


def _by(
    taken: Iterable[Allocation], key: Callable[[Allocation], str]
) -> Mapping[str, dict[str, int]]:
    grouped: dict[str, dict[str, int]] = defaultdict(dict)
    for line in taken:
        grouped[key(line)][line.resource_class] = line.amount
    return grouped


def of_provider(call: Call[bytes]) -> Reply:
    """List who holds what of a provider."""
    view = list_provider_allocations(call.site, call.path["id"])
    answer: dict[str, Any] = {}
    moments: list[datetime] = []
    for consumer_id, resources in _by(view.taken, lambda line: line.consumer_id).items():
        answer[consumer_id] = {"resources": resources}
        consumer = view.consumers.get(consumer_id)
        if consumer is not None:
            moments.append(consumer.updated_at)
        if at_least(call, _GENERATION_SINCE):
            generation = None if consumer is None else consumer.generation
            answer[consumer_id]["consumer_generation"] = generation
    body = {
        "allocations": answer,
        "resource_provider_generation": view.provider.generation,
    }
    return fresh(call, body, max(moments, default=None))


_ONE = "/allocations/{consumer}"
ROWS: tuple[Row[Any], ...] = (
    Row(
        method="POST",
        path="/allocations",
        handler=post,
        accepts=bytes,
        policy=rule("allocations:manage"),
        status=GONE,
        since="1.13",
    ),
    Row(method="GET", path=_ONE, handler=show, policy=rule("allocations:list")),
    Row(
        method="PUT",
        path=_ONE,
        handler=put,
        accepts=bytes,
        policy=rule("allocations:update"),
        status=GONE,
    ),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete,
        policy=rule("allocations:delete"),
        status=GONE,
    ),
    Row(
        method="GET",
        path=f"{PROVIDER}/allocations",
        handler=of_provider,
        policy=rule("resource_providers:allocations:list"),
    ),
)
