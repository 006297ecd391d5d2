"""``/v2.0/ports/{id}/bindings``: where a port is, and where it may go."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from lanekeeper.api.network.field import Maybe, Text, or_else
from lanekeeper.api.network.listing import Collected, View, answer, only, wanted_columns
from lanekeeper.api.network.port import profile_of, vnic_type_of
from lanekeeper.api.row import ADMIN, Call, Policy, Row, Strict
from lanekeeper.control.network.port_binding import (
    activate_binding,
    create_binding,
    delete_binding,
    list_bindings,
    show_binding,
    update_binding,
)
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.port import PortRecord, VifType
from lanekeeper.domain.network.port_binding import BindingChange, PortBinding

_ATTRIBUTES = frozenset({"host", "vif_type", "vif_details", "vnic_type", "profile", "status"})


class BindingFields(Strict, frozen=True):
    """A new binding. ``project_id`` is the port's, whatever is said; so is an absent vnic type."""

    host: Text
    vnic_type: Text | None = None
    profile: dict[str, Any] | None = None
    project_id: Text | None = None


class BindingChanges(Strict, frozen=True):
    """What may change of a binding."""

    host: Text | Maybe = UNSET
    vnic_type: Text | Maybe = UNSET
    profile: dict[str, Any] | Maybe | None = UNSET


class CreateBinding(Strict, frozen=True):
    binding: BindingFields


class UpdateBinding(Strict, frozen=True):
    binding: BindingChanges


def view(port: PortRecord, binding: PortBinding) -> View:
    """A binding in the API's shape.

    Source: neutron ``plugins/ml2/plugin.py``, _make_port_binding_dict.
    """
    is_bound = binding.vif_type is not VifType.UNBOUND
    trusted = {"trusted": port.trusted} if is_bound and port.trusted is not None else {}
    details = {key: it for key, it in binding.vif_details.items() if key != "bound_drivers"}
    failure = {"binding_failure": binding.failure} if binding.failure else {}
    return {
        "host": binding.host_name,
        "vif_type": str(binding.vif_type),
        "vif_details": {**details, **failure},
        "vnic_type": str(binding.vnic_type),
        "profile": {**binding.profile, **trusted},
        "status": str(binding.status),
    }


def list_(call: Call[None]) -> View:
    """List the bindings of a port."""
    port_id = call.path["id"]
    kind = Collected(
        path=f"ports/{port_id}/bindings", plural="bindings", attributes=_ATTRIBUTES, key="host"
    )
    wanted_columns(call, kind)
    port, bindings = list_bindings(call.site, call.caller, port_id)
    return answer(call, kind, [view(port, binding) for binding in bindings])


def show(call: Call[None]) -> View:
    """Show the binding of a port on a host."""
    found = show_binding(call.site, call.caller, call.path["id"], call.path["host"])
    return {"binding": only(view(*found), call.asked_all("fields"))}


def create(call: Call[CreateBinding]) -> View:
    """Create a binding of a port on a host where it may go."""
    body = call.body.binding
    said = BindingChange(
        vnic_type=None if body.vnic_type is None else vnic_type_of(body.vnic_type, "vnic_type"),
        profile=profile_of(body.profile, "profile"),
    )
    made = create_binding(call.site, call.caller, call.path["id"], _host(body.host), said)
    return {"binding": view(*made)}


def update(call: Call[UpdateBinding]) -> View:
    """Update the binding of a port on a host."""
    body = call.body.binding
    vnic_type, profile = or_else(body.vnic_type, None), body.profile
    change = BindingChange(
        host_name=None if body.host is UNSET else _host(body.host),
        vnic_type=None if vnic_type is None else vnic_type_of(vnic_type, "vnic_type"),
        profile=None if profile is UNSET else profile_of(profile, "profile"),
    )
    changed = update_binding(call.site, call.caller, call.path["id"], call.path["host"], change)
    return {"binding": view(*changed)}


def activate(call: Call[None]) -> View:
    """Have a port be on a host where it has a binding; the answer has no wrapping, as Neutron's."""
    return view(*activate_binding(call.site, call.caller, call.path["id"], call.path["host"]))


def delete(call: Call[None]) -> None:
    """Delete the binding of a port on a host."""
    delete_binding(call.site, call.caller, call.path["id"], call.path["host"])


def _host(name: str) -> str:
    if not name:
        raise Invalid(
            "host is empty; it is the name of a host, as openstack hypervisor list has it"
        )
    return name


_READ = Policy("get_port_binding", ADMIN)
_CREATE = Policy("create_port_binding", ADMIN)
_ALL = "/v2.0/ports/{id}/bindings"
_ONE = f"{_ALL}/{{host}}"
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_ALL, handler=list_, policy=_READ),
    Row(method="GET", path=_ONE, handler=show, policy=_READ),
    Row(
        method="POST",
        path=_ALL,
        handler=create,
        accepts=CreateBinding,
        policy=_CREATE,
        status=HTTPStatus.CREATED,
    ),
    Row(method="PUT", path=_ONE, handler=update, accepts=UpdateBinding, policy=_CREATE),
    Row(
        method="PUT",
        path=f"{_ONE}/activate",
        handler=activate,
        policy=Policy("activate", ADMIN),
    ),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete,
        policy=Policy("delete_port_binding", ADMIN),
        status=HTTPStatus.NO_CONTENT,
    ),
)
