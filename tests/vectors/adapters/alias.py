"""Aliases and a flavor's extra spec, turned into requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.alias import NumaPolicy, check_together, parse_option
from lanekeeper.domain.pci.request import Alternative, DeviceRequest, flavor_requests
from lanekeeper.domain.pci.resource_class import (
    class_of_ids,
    normalize_resource_class,
    parse_traits,
)
from vectors.case import Answer, Data


def alias(data: Data) -> Iterator[Answer]:
    yield Answer(outcome(data), expectation(data))


def outcome(data: Data) -> Any:
    try:
        aliases = [
            parse_option(one if isinstance(one, str) else json.dumps(one))
            for one in data["aliases"]
        ]
        check_together(aliases)
    except Invalid:
        return "refused: config"
    policy = data["flavor_or_image_numa_policy"]
    try:
        requests = flavor_requests(
            aliases, data["flavor_value"], NumaPolicy(policy) if policy else None
        )
    except Invalid:
        return "refused: request"
    return [request_as_told(request) for request in requests]


def request_as_told(request: DeviceRequest) -> dict[str, Any]:
    return {
        "alias_name": request.alias_name,
        "count": request.count,
        "numa_policy": str(request.numa_policy),
        "spec": [alternative_as_told(one) for one in request.alternatives],
    }


def alternative_as_told(one: Alternative) -> dict[str, Any]:
    """Spell it as Nova does, with every class in full."""
    told: dict[str, Any] = {"resource_class": one.resource_class or ""}
    if one.vendor_id is not None:
        told["vendor_id"] = f"{one.vendor_id:04x}"
    if one.product_id is not None:
        told["product_id"] = f"{one.product_id:04x}"
    if one.dev_type:
        told["dev_type"] = str(one.dev_type)
    if one.live_migratable is not None:
        told["live_migratable"] = "true" if one.live_migratable else "false"
    if one.traits:
        told["traits"] = sorted(one.traits)
    return told


def expectation(data: Data) -> Any:
    expect = data["expect"]
    if expect["result"] == "error":
        return f"refused: {expect['stage']}"
    return [
        {**request, "spec": [spelled_out(spec) for spec in request["spec"]]}
        for request in expect["requests"]
    ]


def spelled_out(spec: dict[str, str]) -> dict[str, Any]:
    """The same of what Nova said: ids as numbers are compared, names as Placement has them."""
    told: dict[str, Any] = dict(spec)
    for key in {"vendor_id", "product_id"} & spec.keys():
        told[key] = spec[key].lower()
    named, traits = told.get("resource_class"), told.pop("traits", None)
    if named:
        told["resource_class"] = kept_if_refused(normalize_resource_class, named)
    elif {"vendor_id", "product_id"} <= spec.keys():
        told["resource_class"] = class_of_ids(
            int(spec["vendor_id"], 16), int(spec["product_id"], 16)
        )
    if traits:
        told["traits"] = kept_if_refused(lambda text: sorted(parse_traits(text)), traits)
    return told


def kept_if_refused(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except Invalid:
        return text
