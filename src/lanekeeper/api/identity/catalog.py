"""The catalog: where each service is, computed from the address that the client used."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from lanekeeper.api.row import ANYONE, Call, Policy, Row
from lanekeeper.domain.errors import NotFound, NotOffered

INTERFACES = ("public", "internal", "admin")
_NAMESPACE = uuid.UUID("5a0c4e6e-6a55-5d4e-9c31-2a2f6a1f9b70")


@dataclass(frozen=True, slots=True)
class Service:
    """Attributes:
    path: what follows the port in the catalog; clients append their own ``/v2`` or ``/v2.0``.
    """

    type: str
    name: str
    path: str

    @property
    def id(self) -> str:
        return uuid.uuid5(_NAMESPACE, self.type).hex

    def endpoint_id(self, interface: str) -> str:
        return uuid.uuid5(_NAMESPACE, f"{self.type}/{interface}").hex


SERVICES = (
    Service("identity", "keystone", "/identity/v3"),
    Service("compute", "nova", "/compute/v2.1"),
    Service("network", "neutron", "/network"),
    Service("image", "glance", "/image"),
    Service("placement", "placement", "/placement"),
)

_LIST_SERVICES = Policy("identity:list_services", ANYONE)
_GET_SERVICE = Policy("identity:get_service", ANYONE)
_LIST_ENDPOINTS = Policy("identity:list_endpoints", ANYONE)
_GET_ENDPOINT = Policy("identity:get_endpoint", ANYONE)
_CHANGE = Policy("identity:create_service", "role:admin")


def catalog(base_url: str, region: str) -> list[dict[str, object]]:
    """As a token carries it."""
    return [
        {
            "id": service.id,
            "type": service.type,
            "name": service.name,
            "endpoints": [
                {
                    "id": service.endpoint_id(interface),
                    "interface": interface,
                    "region": region,
                    "region_id": region,
                    "url": base_url + service.path,
                }
                for interface in INTERFACES
            ],
        }
        for service in SERVICES
    ]


def show_catalog(call: Call[None]) -> dict[str, object]:
    """Show where each service is."""
    return {
        "catalog": catalog(call.base_url, _name(call)),
        "links": {"self": f"{_v3(call)}/auth/catalog"},
    }


def list_services(call: Call[None]) -> dict[str, object]:
    """List the services."""
    kind, name = call.asked("type"), call.asked("name")
    return {
        "services": [
            _service(call, service)
            for service in SERVICES
            if kind in {None, service.type} and name in {None, service.name}
        ],
        "links": _no_pages(call, "services"),
    }


def show_service(call: Call[None]) -> dict[str, object]:
    """Show one service."""
    found = next((one for one in SERVICES if one.id == call.path["service"]), None)
    if found is None:
        raise NotFound(f"Could not find service: {call.path['service']}.")
    return {"service": _service(call, found)}


def list_endpoints(call: Call[None]) -> dict[str, object]:
    """List every service's endpoints."""
    interface, service_id = call.asked("interface"), call.asked("service_id")
    region = call.asked("region_id") or call.asked("region")
    return {
        "endpoints": [
            endpoint
            for endpoint in _endpoints(call)
            if interface in {None, endpoint["interface"]}
            and service_id in {None, endpoint["service_id"]}
            and region in {None, _name(call)}
        ],
        "links": _no_pages(call, "endpoints"),
    }


def show_endpoint(call: Call[None]) -> dict[str, object]:
    """Show one endpoint."""
    found = next((one for one in _endpoints(call) if one["id"] == call.path["endpoint"]), None)
    if found is None:
        raise NotFound(f"Could not find endpoint: {call.path['endpoint']}.")
    return {"endpoint": found}


def list_regions(call: Call[None]) -> dict[str, object]:
    """List the one region."""
    return {"regions": [_region(call)], "links": _no_pages(call, "regions")}


def show_region(call: Call[None]) -> dict[str, object]:
    """Show the one region."""
    if call.path["region"] != _name(call):
        raise NotFound(f"Could not find region: {call.path['region']}.")
    return {"region": _region(call)}


def refuse_change(call: Call[None]) -> object:
    """Say that the catalog is computed and cannot be written."""
    raise NotOffered(
        "services, endpoints and regions cannot be changed: the catalog is computed from the "
        "address that the client used"
    )


def _service(call: Call[None], service: Service) -> dict[str, object]:
    return {
        "id": service.id,
        "type": service.type,
        "name": service.name,
        "description": "",
        "enabled": True,
        "links": {"self": f"{_v3(call)}/services/{service.id}"},
    }


def _endpoints(call: Call[None]) -> list[dict[str, object]]:
    return [
        {
            "id": service.endpoint_id(interface),
            "interface": interface,
            "service_id": service.id,
            "region": _name(call),
            "region_id": _name(call),
            "url": call.base_url + service.path,
            "enabled": True,
            "links": {"self": f"{_v3(call)}/endpoints/{service.endpoint_id(interface)}"},
        }
        for service in SERVICES
        for interface in INTERFACES
    ]


def _region(call: Call[None]) -> dict[str, object]:
    return {
        "id": _name(call),
        "description": "",
        "parent_region_id": None,
        "links": {"self": f"{_v3(call)}/regions/{_name(call)}"},
    }


def _name(call: Call[None]) -> str:
    return call.site.config.lanekeeper.region


def _no_pages(call: Call[None], noun: str) -> dict[str, object]:
    return {"self": f"{_v3(call)}/{noun}", "previous": None, "next": None}


def _v3(call: Call[None]) -> str:
    return f"{call.base_url}/identity/v3"


def _refusals() -> tuple[Row[None], ...]:
    paths = [
        ("POST", "/v3/services"),
        ("POST", "/v3/endpoints"),
        ("POST", "/v3/regions"),
        *((method, "/v3/services/{service}") for method in ("PATCH", "DELETE")),
        *((method, "/v3/endpoints/{endpoint}") for method in ("PATCH", "DELETE")),
        *((method, "/v3/regions/{region}") for method in ("PATCH", "DELETE")),
    ]
    return tuple(
        Row(method=method, path=path, handler=refuse_change, policy=_CHANGE)
        for method, path in paths
    )


ROWS = (
    Row(
        method="GET",
        path="/v3/auth/catalog",
        handler=show_catalog,
        policy=Policy("identity:get_auth_catalog", ANYONE),
    ),
    Row(method="GET", path="/v3/services", handler=list_services, policy=_LIST_SERVICES),
    Row(method="GET", path="/v3/services/{service}", handler=show_service, policy=_GET_SERVICE),
    Row(method="GET", path="/v3/endpoints", handler=list_endpoints, policy=_LIST_ENDPOINTS),
    Row(method="GET", path="/v3/endpoints/{endpoint}", handler=show_endpoint, policy=_GET_ENDPOINT),
    Row(
        method="GET",
        path="/v3/regions",
        handler=list_regions,
        policy=Policy("identity:list_regions", ANYONE),
    ),
    Row(
        method="GET",
        path="/v3/regions/{region}",
        handler=show_region,
        policy=Policy("identity:get_region", ANYONE),
    ),
    *_refusals(),
)
