"""The aggregates of a provider. They are no objects of their own: any UUID is one."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.placement.schema import INTEGER, UUID, Form, record
from lanekeeper.api.placement.views import PROVIDER, at_least, canonical, fresh, rule
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.placement.provider_label import list_aggregates_of, put_aggregates
from lanekeeper.control.placement.resource_provider import show_provider
from lanekeeper.domain.errors import Invalid

GENERATION = "resource_provider_generation"
_GENERATION_SINCE = 19
_IDS = {"type": "array", "items": UUID}
_BARE = Form(_IDS)
_WITH_GENERATION = Form(
    record({"aggregates": _IDS, GENERATION: INTEGER}, required=["aggregates", GENERATION])
)


def index(call: Call[bytes]) -> Reply:
    """List the aggregates that a provider belongs to."""
    provider, ids = list_aggregates_of(call.site, call.path["id"])
    return _answer(call, ids, provider.generation)


def _answer(call: Call[bytes], ids: list[str], generation: int) -> Reply:
    body: dict[str, Any] = {"aggregates": ids}
    if at_least(call, _GENERATION_SINCE):
        body[GENERATION] = generation
    return fresh(call, body)


def replace(call: Call[bytes]) -> Reply:
    """Replace the aggregates that a provider belongs to; the generation counts from 1.19 on."""
    show_provider(call.site, call.path["id"])  # that it is not there comes before what was sent
    generation = None
    if at_least(call, _GENERATION_SINCE):
        body = _WITH_GENERATION.read(call.body)
        ids, generation = body["aggregates"], int(body[GENERATION])
    else:
        ids = _BARE.read(call.body)
    members = [canonical(one, "aggregate") for one in ids]
    if len(set(members)) < len(members):  # not by the schema, which compares each with each
        raise Invalid("JSON does not validate: the list of aggregates has non-unique elements")
    moved = put_aggregates(call.site, call.path["id"], generation, set(members))
    return _answer(call, members, moved)


_OF = f"{PROVIDER}/aggregates"
ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path=_OF,
        handler=index,
        policy=rule("resource_providers:aggregates:list"),
        since="1.1",
    ),
    Row(
        method="PUT",
        path=_OF,
        handler=replace,
        accepts=bytes,
        policy=rule("resource_providers:aggregates:update"),
        since="1.1",
    ),
)
