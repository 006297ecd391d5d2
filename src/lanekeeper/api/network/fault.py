"""Network's faults: ``type`` is the name that Neutron gives each."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from lanekeeper.api.faults import Fault, network_fault

_TYPE_BY_KIND = {
    "Invalid": "HTTPBadRequest",
    "Unauthenticated": "HTTPUnauthorized",
    "Forbidden": "PolicyNotAuthorized",
    "NotFound": "HTTPNotFound",
    "Conflict": "HTTPConflict",
    "NoCapacity": "HTTPConflict",
    "TooLarge": "HTTPRequestEntityTooLarge",
    "NotOffered": "HTTPNotImplemented",
    "Unavailable": "HTTPServiceUnavailable",
    "Bug": "HTTPInternalServerError",
}
_TYPE_BY_STATUS = {
    HTTPStatus.NOT_FOUND: "HTTPNotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "HTTPMethodNotAllowed",
}


def envelope(fault: Fault) -> object:
    """Wrap a fault; one that has a code of its own keeps it as its type."""
    kind = _TYPE_BY_KIND.get(fault.kind) or _TYPE_BY_STATUS.get(fault.status, fault.kind)
    return network_fault(replace(fault, kind=kind))
