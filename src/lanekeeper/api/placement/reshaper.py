"""``/reshaper``: inventories and allocations replaced together."""

from __future__ import annotations

from functools import cache
from typing import Any

from lanekeeper.api.placement import schema
from lanekeeper.api.placement.allocations import claim_of
from lanekeeper.api.placement.inventories import GENERATION, record_of
from lanekeeper.api.placement.schema import Form
from lanekeeper.api.placement.views import GONE, canonical, rule
from lanekeeper.api.row import Call, Row
from lanekeeper.control.placement.reshape import NewInventory, reshape


@cache
def _form(minor: int) -> Form:
    return Form(schema.reshape(minor))


def post(call: Call[bytes]) -> None:
    """Move inventories between providers with what is held of them."""
    body = _form(call.microversion.minor).read(call.body)
    stocks = [
        NewInventory(
            canonical(provider_id, "resource provider"),
            int(one[GENERATION]),
            {name: record_of(record) for name, record in one["inventories"].items()},
        )
        for provider_id, one in body["inventories"].items()
    ]
    claims = [claim_of(call, id_, one) for id_, one in body["allocations"].items()]
    reshape(call.site, stocks, claims)


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="POST",
        path="/reshaper",
        handler=post,
        accepts=bytes,
        policy=rule("reshaper:reshape", "rule:service_api"),
        status=GONE,
        since="1.30",
    ),
)
