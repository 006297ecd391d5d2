"""Expected failures as HTTP, each service in its own envelope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.exceptions import HTTPException

from lanekeeper.api.microversion import NotAcceptable
from lanekeeper.domain import errors


@dataclass(frozen=True, slots=True)
class Fault:
    """One refusal, before a service puts it in its envelope.

    Attributes:
        kind: name of the error's class (``Invalid``); Network answers it as ``type``.
        code: stable machine code, or empty.
        facts: what a client may want beside the sentence (the versions of a 406).
    """

    status: HTTPStatus
    message: str
    kind: str = ""
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


Envelope = Callable[[Fault], object]


class UpgradeRequired(errors.Invalid):
    """An agent that speaks a protocol version which this controller does not (426)."""


# HostFault is absent on purpose: its text names paths on a host, so it stays in the log.
STATUS: Mapping[type[Exception], HTTPStatus] = {
    NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    UpgradeRequired: HTTPStatus.UPGRADE_REQUIRED,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Stale: HTTPStatus.PRECONDITION_FAILED,
    errors.NoCapacity: HTTPStatus.CONFLICT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.NotOffered: HTTPStatus.NOT_IMPLEMENTED,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

INTERNAL = "internal error; the controller's log has it under the request id"


def fault_of(error: Exception, request_id: str) -> Fault:
    """Say *error* to a client; a bug and a host's fault show nothing but the request id."""
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        return Fault(
            status, error.detail, "HTTP", headers=error.headers or {}, request_id=request_id
        )
    for kind in type(error).mro():
        status_of_kind = STATUS.get(kind)
        if status_of_kind is not None and isinstance(error, errors.Error):
            headers = {"Retry-After": "2"} if status_of_kind == 503 else {}  # noqa: PLR2004 HTTP
            facts = error.facts if isinstance(error, NotAcceptable) else {}
            return Fault(
                status_of_kind,
                _sentence(error),
                kind.__name__,
                error.code,
                headers,
                request_id,
                facts,
            )
    return Fault(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL, "Bug", request_id=request_id)


def _sentence(error: errors.Error) -> str:
    """Reason and remedy in one line: clients show only the message."""
    return f"{errors.clause(str(error))} ({error.hint})" if error.hint else str(error)


# The envelopes ------------------------------------------------------------------------------------

_COMPUTE_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    503: "serviceUnavailable",
}


def compute_fault(fault: Fault) -> object:
    """Nova's: the key names the kind of refusal. Source: nova ``api/openstack/wsgi.py``, Fault."""
    key = _COMPUTE_KEYS.get(fault.status, "computeFault")
    return {key: {"code": int(fault.status), "message": fault.message}}


def network_fault(fault: Fault) -> object:
    """Neutron's: only ``message`` reaches the user."""
    kind = fault.kind if fault.code == "" else fault.code
    return {"NeutronError": {"type": kind, "message": fault.message, "detail": ""}}


def identity_fault(fault: Fault) -> object:
    """Keystone's."""
    return {
        "error": {
            "code": int(fault.status),
            "title": fault.status.phrase,
            "message": fault.message,
        }
    }


def image_fault(fault: Fault) -> object:
    """Glance's, as JSON."""
    return {
        "message": fault.message,
        "code": f"{int(fault.status)} {fault.status.phrase}",
        "title": fault.status.phrase,
    }


def placement_fault(fault: Fault) -> object:
    """Placement's; osc-placement shows the last line of ``detail``."""
    error: dict[str, object] = {
        "status": int(fault.status),
        "title": fault.status.phrase,
        "detail": fault.message,
        "code": fault.code or "placement.undefined_code",
        "request_id": fault.request_id,
    }
    return {"errors": [{**error, **fault.facts}]}


def own_fault(fault: Fault) -> object:
    """Lanekeeper's own faces: flat, with the stable code where there is one."""
    return {"error": {"code": fault.code, "status": int(fault.status), "message": fault.message}}
