"""Filters by what a host's aggregates say.

Source: nova ``scheduler/filters``: aggregate_instance_extra_specs.py,
aggregate_multitenancy_isolation.py, aggregate_image_properties_isolation.py, type_filter.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lanekeeper.domain.compute.aggregate import DEVICES_ONLY_KEY, devices_only
from lanekeeper.domain.compute.extra_spec import GROUP_POLICY_SPEC, SCOPE
from lanekeeper.domain.scheduling.fleet import Flags, Fleet
from lanekeeper.domain.scheduling.host import (
    Aggregates,
    HostView,
    ServerRequest,
    values_by_key,
    values_of,
)
from lanekeeper.domain.scheduling.spec_match import spec_matches
from lanekeeper.domain.scheduling.verdict import Filter, Verdict

_TENANT = "filter_tenant_id"
_FLAVORS = "instance_type"
_Judge = Callable[[ServerRequest, Aggregates], Verdict | None]


def by_aggregates(code: str, judge: _Judge) -> Filter:
    """A filter that looks at nothing of a host but its aggregates."""

    def why(request: ServerRequest, host: HostView) -> Verdict | None:
        return judge(request, host.aggregates)

    def mask(request: ServerRequest, fleet: Fleet) -> Flags:
        return fleet.aggregates.where(lambda aggregates: judge(request, aggregates) is None)

    why.__name__ = code
    return Filter(why, mask)


def _devices_only(request: ServerRequest, aggregates: Aggregates) -> Verdict | None:
    if request.needs:
        return None
    for aggregate in aggregates:
        if devices_only(dict(aggregate.metadata).get(DEVICES_ONLY_KEY, "false")):
            return Verdict(
                code="devices_only",
                reason=f"is kept by aggregate {aggregate.name} for servers that ask for devices",
                remedy="ask for a device, or add a host that is in no such aggregate",
                facts={"aggregate": aggregate.name},
            )
    return None


DEVICES_ONLY = by_aggregates("devices_only", _devices_only)
"""Dedicated hosts: in force wherever an aggregate says so, since nothing else has this key."""


def aggregate_specs(specs: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield those extra specs that aggregates are asked for: spec, key there, what is required.

    ``group_policy`` has no scope and says how devices are chosen; Nova's filter asks aggregates for
    it all the same, and finds no host.
    """
    for name, required in sorted(specs.items()):
        if name.startswith(SCOPE):
            yield name, name.removeprefix(SCOPE), required
        elif ":" not in name and name != GROUP_POLICY_SPEC:
            yield name, name, required


def _extra_specs(request: ServerRequest, aggregates: Aggregates) -> Verdict | None:
    metadata = values_by_key(aggregates)
    for name, key, required in aggregate_specs(request.extra_specs):
        values = metadata.get(key)
        if values is None:
            what = f"is in no aggregate that has {key}, for the flavor's {name}={required}"
        elif not any(spec_matches(value, required) for value in values):
            what = (
                f"is in aggregates with {key}={_listed(values)}, the flavor has {name}={required}"
            )
        else:
            continue
        return Verdict(
            code="aggregate_extra_specs",
            reason=what,
            remedy="use another flavor, or put the host into an aggregate that matches: "
            f"openstack aggregate set --property {key}=… AGGREGATE",
            facts={"spec": name, "asked": required, "aggregates": sorted(values or ())},
        )
    return None


EXTRA_SPECS = by_aggregates("aggregate_extra_specs", _extra_specs)


def _tenants(request: ServerRequest, aggregates: Aggregates) -> Verdict | None:
    allowed = {
        project
        for key, projects in values_by_key(aggregates).items()
        if key.startswith(_TENANT)
        for project in projects
    }
    if not allowed or request.project_id in allowed:
        return None
    return Verdict(
        code="aggregate_tenants",
        reason="is in an aggregate for other projects alone",
        remedy=f"use a host of no such aggregate, or add the project to its {_TENANT}",
        facts={"projects": sorted(allowed), "project": request.project_id},
    )


TENANTS = by_aggregates("aggregate_tenants", _tenants)


def _flavors(request: ServerRequest, aggregates: Aggregates) -> Verdict | None:
    said = values_of(aggregates, _FLAVORS)
    allowed = {name.strip() for text in said for name in text.split(",")}
    if not said or request.flavor_name in allowed:
        return None
    return Verdict(
        code="aggregate_flavors",
        reason=f"is in an aggregate for servers of flavor {_listed(allowed)}",
        remedy=f"use such a flavor, or add {request.flavor_name} to the aggregate's {_FLAVORS}",
        facts={"flavors": sorted(allowed), "flavor": request.flavor_name},
    )


FLAVORS = by_aggregates("aggregate_flavors", _flavors)


def image_isolation(namespace: str | None, separator: str) -> Filter:
    """Keep images from hosts whose aggregates have another value of one of their properties.

    With *namespace* only keys of aggregates count that begin with it and *separator*.
    """
    prefix = namespace + separator if namespace else ""

    def judge(request: ServerRequest, aggregates: Aggregates) -> Verdict | None:
        for key, values in sorted(values_by_key(aggregates).items()):
            mine = request.image_properties.get(key)
            if not key.startswith(prefix) or not mine or str(mine) in values:
                continue
            return Verdict(
                code="aggregate_images",
                reason=f"is in aggregates with {key}={_listed(values)}, the image has {key}={mine}",
                remedy=f"use an image with {key}={_listed(values)}, or another host",
                facts={"property": key, "image": mine, "aggregates": sorted(values)},
            )
        return None

    return by_aggregates("aggregate_images", judge)


def _listed(values: set[str]) -> str:
    return " or ".join(sorted(values)) or "nothing"
