"""``/allocations``, allocations of a provider, and usages of a project."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from lanekeeper.api.placement.views import at_least, canonical, only, rule
from lanekeeper.api.row import READER, Call, Row, Strict
from lanekeeper.control.placement.allocation import (
    UNKNOWN_TYPE,
    ConsumerClaim,
    ConsumerView,
    delete_allocations,
    list_provider_allocations,
    project_usage,
    put_allocations,
    show_consumer,
)
from lanekeeper.domain.errors import Forbidden, Invalid
from lanekeeper.domain.placement.allocation import Taken

Amount = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Owner = Annotated[str, Meta(min_length=1, max_length=255)]
Kind = Annotated[str, Meta(min_length=1, max_length=255, pattern="^[A-Z0-9_]+$")]
_PLACEHOLDER = "00000000-0000-0000-0000-000000000000"


class ShareBody(Strict, frozen=True):
    resources: Annotated[dict[str, Amount], Meta(min_length=1)]
    generation: int | None = None


class ProviderRef(Strict, frozen=True):
    uuid: str


class ListedShare(Strict, frozen=True):
    resource_provider: ProviderRef
    resources: Annotated[dict[str, Amount], Meta(min_length=1)]


class ListBody(Strict, frozen=True):
    """Before 1.12."""

    allocations: Annotated[list[ListedShare], Meta(min_length=1)]
    project_id: Owner | None = None
    user_id: Owner | None = None


class ClaimBody(Strict, frozen=True):
    """From 1.12 on; which fields must be there depends on the microversion."""

    allocations: dict[str, ShareBody]
    project_id: Owner
    user_id: Owner
    consumer_generation: int | UnsetType | None = UNSET
    consumer_type: Kind | None = None
    mappings: dict[str, list[str]] | None = None


def _claim(call: Call[Any], consumer_id: str, body: ClaimBody) -> ConsumerClaim:
    generation = body.consumer_generation
    if at_least(call, 28) and isinstance(generation, UnsetType):
        raise Invalid("'consumer_generation' is a required property: null for a new consumer")
    if not at_least(call, 28) and not body.allocations:
        raise Invalid("allocations: an empty object is taken from 1.28 on")
    if at_least(call, 38) and body.consumer_type is None:
        raise Invalid("'consumer_type' is a required property from 1.38 on")
    if not at_least(call, 38) and body.consumer_type is not None:
        raise Invalid("Additional properties are not allowed ('consumer_type' was unexpected)")
    return ConsumerClaim(
        consumer_id=canonical(consumer_id, "consumer"),
        amounts={
            canonical(provider, "resource provider"): share.resources
            for provider, share in body.allocations.items()
        },
        project_id=body.project_id,
        user_id=body.user_id,
        generation=None if isinstance(generation, UnsetType) else (generation,),
        kind=body.consumer_type,
    )


def put(call: Call[ClaimBody]) -> None:
    """Replace what a consumer holds."""
    put_allocations(call.site, [_claim(call, call.path["consumer"], call.body)])


def put_list(call: Call[ListBody]) -> None:
    """Replace what a consumer holds, in the list form of the first versions."""
    amounts = {
        canonical(share.resource_provider.uuid, "resource provider"): share.resources
        for share in call.body.allocations
    }
    claim = ConsumerClaim(
        consumer_id=canonical(call.path["consumer"], "consumer"),
        amounts=amounts,
        project_id=call.body.project_id or _PLACEHOLDER,
        user_id=call.body.user_id or _PLACEHOLDER,
    )
    put_allocations(call.site, [claim])


def post(call: Call[dict[str, ClaimBody]]) -> None:
    """Replace what several consumers hold, in one transaction."""
    if not call.body:
        raise Invalid("at least one consumer must be named")
    claims = [_claim(call, consumer, body) for consumer, body in call.body.items()]
    put_allocations(call.site, claims)


def delete(call: Call[None]) -> None:
    """Give back all that a consumer holds."""
    delete_allocations(call.site, call.path["consumer"])


def show(call: Call[None]) -> dict[str, Any]:
    """Show what a consumer holds; one that nobody knows holds nothing."""
    view = show_consumer(call.site, call.path["consumer"])
    answer: dict[str, Any] = {
        "allocations": {
            provider: {
                "generation": view.provider_generations[provider],
                "resources": resources,
            }
            for provider, resources in _by(view.taken, lambda t: t.provider_id).items()
        }
    }
    return answer | _owner(call, view)


def _owner(call: Call[None], view: ConsumerView) -> dict[str, Any]:
    if view.row is None or not at_least(call, 12):
        return {}
    owner = {"project_id": view.row["project_id"], "user_id": view.row["user_id"]}
    if at_least(call, 28):
        owner["consumer_generation"] = view.row["generation"]
    if at_least(call, 38):
        owner["consumer_type"] = view.row["type"] or UNKNOWN_TYPE
    return owner


def _by(taken: Iterable[Taken], key: Any) -> Mapping[str, dict[str, int]]:
    grouped: dict[str, dict[str, int]] = defaultdict(dict)
    for line in taken:
        grouped[key(line)][line.resource_class] = line.amount
    return grouped


def provider_allocations(call: Call[None]) -> dict[str, Any]:
    """List who holds what of a provider."""
    view = list_provider_allocations(call.site, call.path["id"])
    answer: dict[str, Any] = {}
    for consumer, resources in _by(view.taken, lambda t: t.consumer_id).items():
        answer[consumer] = {"resources": resources}
        if at_least(call, 28):
            answer[consumer]["consumer_generation"] = view.consumer_generations.get(consumer, 1)
    return {
        "allocations": answer,
        "resource_provider_generation": view.provider_generation,
    }


def usages(call: Call[None]) -> dict[str, Any]:
    """Add up what a project (or one of its users) holds."""
    only(call, "project_id", "user_id", *(["consumer_type"] if at_least(call, 38) else []))
    project_id = call.asked("project_id")
    if not project_id:
        raise Invalid("Invalid query string parameters: 'project_id' is a required property")
    if not (call.caller.sees(project_id) or "service" in call.caller.roles):
        raise Forbidden("Policy does not allow placement:usages of another project")
    lines = project_usage(call.site, project_id, call.asked("user_id"))
    if not at_least(call, 38):
        return {"usages": lines.total()}
    wanted = call.asked("consumer_type")
    if wanted == "all":
        return {"usages": {"all": lines.total() | {"consumer_count": lines.count()}}}
    kinds = [kind for kind in lines.kinds() if wanted in (None, kind)]
    return {
        "usages": {
            kind: lines.total(kind) | {"consumer_count": lines.count(kind)} for kind in kinds
        }
    }


_ONE = "/allocations/{consumer}"
_GONE = HTTPStatus.NO_CONTENT
_MANAGE = rule("allocations:manage")
_UPDATE = rule("allocations:update")
ROWS: tuple[Row[Any], ...] = (
    Row(
        method="POST",
        path="/allocations",
        handler=post,
        accepts=dict[str, ClaimBody],
        policy=_MANAGE,
        status=_GONE,
        since="1.13",
    ),
    Row(method="GET", path=_ONE, handler=show, policy=rule("allocations:list")),
    Row(
        method="PUT",
        path=_ONE,
        handler=put,
        accepts=ClaimBody,
        policy=_UPDATE,
        status=_GONE,
        since="1.12",
    ),
    Row(
        method="PUT",
        path=_ONE,
        handler=put_list,
        accepts=ListBody,
        policy=_UPDATE,
        status=_GONE,
        until="1.11",
    ),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete,
        policy=rule("allocations:delete"),
        status=_GONE,
    ),
    Row(
        method="GET",
        path="/resource_providers/{id}/allocations",
        handler=provider_allocations,
        policy=rule("resource_providers:allocations:list"),
    ),
    Row(method="GET", path="/usages", handler=usages, policy=rule("usages", READER), since="1.9"),
)
