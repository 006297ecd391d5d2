"""Host aggregates and availability zones over HTTP."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.compute.value import at_least, bare_stamp, name_value
from lanekeeper.api.row import ADMIN, READER, Call, Policy, Reply, Row, Strict
from lanekeeper.control.compute import aggregate as control
from lanekeeper.control.compute.hypervisor import BINARY
from lanekeeper.domain.compute.aggregate import ZONE_KEY, Aggregate
from lanekeeper.domain.errors import Invalid, NotOffered

_POLICY = "os_compute_api:os-aggregates:"
_LIST, _SHOW = Policy(_POLICY + "index", ADMIN), Policy(_POLICY + "show", ADMIN)
_CREATE, _UPDATE = Policy(_POLICY + "create", ADMIN), Policy(_POLICY + "update", ADMIN)
_DELETE, _CHANGE = Policy(_POLICY + "delete", ADMIN), Policy(_POLICY + "set_metadata", ADMIN)
_ZONES = Policy("os_compute_api:os-availability-zone:list", READER)
_ZONES_DETAIL = Policy("os_compute_api:os-availability-zone:detail", ADMIN)
_VALUE_MAX = 255


class Asked(Strict, frozen=True):
    name: str
    availability_zone: str | None = None


class Create(Strict, frozen=True):
    aggregate: Asked


class Changes(Strict, frozen=True):
    name: str | None = None
    availability_zone: str | None = None


class Update(Strict, frozen=True):
    aggregate: Changes


class Host(Strict, frozen=True):
    host: str


class Notes(Strict, frozen=True):
    metadata: dict[str, str | None]


class Action(Strict, frozen=True):
    add_host: Host | None = None
    remove_host: Host | None = None
    set_metadata: Notes | None = None


def _view(call: Call[Any], one: Aggregate) -> dict[str, object]:
    body: dict[str, object] = {
        "id": one.id,
        "name": one.name,
        "availability_zone": one.zone,
        "hosts": one.hosts,
        "metadata": one.metadata,
        "created_at": bare_stamp(one.created_at),
        "updated_at": bare_stamp(one.updated_at),
        "deleted": False,
        "deleted_at": None,
    }
    return body | ({"uuid": one.uuid} if at_least(call, "2.41") else {})


def index(call: Call[None]) -> dict[str, object]:
    """List aggregates."""
    return {"aggregates": [_view(call, one) for one in control.list_aggregates(call.site)]}


def show(call: Call[None]) -> dict[str, object]:
    """Show one aggregate."""
    return {"aggregate": _view(call, control.show_aggregate(call.site, call.path["id"]))}


def create(call: Call[Create]) -> dict[str, object]:
    """Make an aggregate."""
    asked = call.body.aggregate
    made = control.create_aggregate(
        call.site, name_value(asked.name), _zone(asked.availability_zone)
    )
    shown = _view(call, made)
    return {"aggregate": {k: v for k, v in shown.items() if k not in ("hosts", "metadata")}}


def update(call: Call[Update]) -> dict[str, object]:
    """Rename an aggregate, or change its zone."""
    asked = call.body.aggregate
    if asked.name is None and asked.availability_zone is None:
        raise Invalid("aggregate: name or availability_zone is needed")
    zone = _zone(asked.availability_zone)
    changed = control.update_aggregate(
        call.site,
        call.path["id"],
        name=None if asked.name is None else name_value(asked.name),
        metadata={} if zone is None else {ZONE_KEY: zone},
    )
    return {"aggregate": _view(call, changed)}


def delete(call: Call[None]) -> Reply:
    """Delete an aggregate."""
    control.delete_aggregate(call.site, call.path["id"])
    return Reply(body=b"")


def act(call: Call[Action]) -> dict[str, object]:
    """Put a host in, take one out, or change the notes."""
    asked, aggregate_id = call.body, call.path["id"]
    given = [one for one in (asked.add_host, asked.remove_host, asked.set_metadata) if one]
    if len(given) != 1:
        raise Invalid("the body must have one of add_host, remove_host, set_metadata")
    if asked.add_host is not None:
        changed = control.add_host(call.site, aggregate_id, asked.add_host.host)
    elif asked.remove_host is not None:
        changed = control.remove_host(call.site, aggregate_id, asked.remove_host.host)
    else:
        assert asked.set_metadata is not None
        notes = _notes(asked.set_metadata.metadata)
        changed = control.update_aggregate(call.site, aggregate_id, name=None, metadata=notes)
    return {"aggregate": _view(call, changed)}


def _notes(metadata: dict[str, str | None]) -> dict[str, str | None]:
    for key, value in metadata.items():
        name_value(key, "metadata key")
        if value is not None and (len(value) > _VALUE_MAX or "\0" in value):
            raise Invalid(f"metadata {key}: the value has NUL or more than {_VALUE_MAX} characters")
        if key == ZONE_KEY:
            _zone(value)
    return metadata


def _zone(text: str | None) -> str | None:
    if text is not None and ":" in name_value(text, "availability_zone"):
        raise Invalid("availability_zone must not contain a colon")
    return text


def images(call: Call[None]) -> None:
    """Tell hosts to fetch images early."""
    raise NotOffered("caching images on the hosts of an aggregate is not offered")


def zones(call: Call[None]) -> dict[str, object]:
    """List availability zones."""
    return {
        "availabilityZoneInfo": [
            {"zoneName": zone.name, "zoneState": {"available": zone.available}, "hosts": None}
            for zone in control.list_zones(call.site)
        ]
    }


def zones_detail(call: Call[None]) -> dict[str, object]:
    """List availability zones with their hosts."""
    return {
        "availabilityZoneInfo": [
            {
                "zoneName": zone.name,
                "zoneState": {"available": zone.available},
                "hosts": {
                    name: {
                        BINARY: {
                            "active": host.active,
                            "available": host.available,
                            "updated_at": bare_stamp(host.updated_at),
                        }
                    }
                    for name, host in zone.hosts.items()
                },
            }
            for zone in control.list_zones(call.site)
        ]
    }


_ALL, _ONE = "/v2.1/os-aggregates", "/v2.1/os-aggregates/{id}"

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_ALL, handler=index, policy=_LIST),
    Row(method="POST", path=_ALL, handler=create, policy=_CREATE, accepts=Create),
    Row(method="GET", path=_ONE, handler=show, policy=_SHOW),
    Row(method="PUT", path=_ONE, handler=update, policy=_UPDATE, accepts=Update),
    Row(method="DELETE", path=_ONE, handler=delete, policy=_DELETE),
    Row(method="POST", path=_ONE + "/action", handler=act, policy=_CHANGE, accepts=Action),
    Row(method="POST", path=_ONE + "/images", handler=images, policy=_CHANGE, since="2.81"),
    Row(method="GET", path="/v2.1/os-availability-zone", handler=zones, policy=_ZONES),
    Row(
        method="GET",
        path="/v2.1/os-availability-zone/detail",
        handler=zones_detail,
        policy=_ZONES_DETAIL,
    ),
)
