"""Flavors over HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from lanekeeper.api.compute.value import (
    at_least,
    description_value,
    flag,
    integer,
    limit_of,
    links,
    name_value,
    next_link,
    only,
)
from lanekeeper.api.row import ADMIN, READER, Call, Policy, Reply, Row, Strict
from lanekeeper.control.compute import flavor as control
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Invalid, NotFound

_READ = Policy("os_compute_api:flavors", READER)
_CREATE = Policy("os_compute_api:os-flavor-manage:create", ADMIN)
_UPDATE = Policy("os_compute_api:os-flavor-manage:update", ADMIN)
_DELETE = Policy("os_compute_api:os-flavor-manage:delete", ADMIN)
_SPECS_READ = Policy("os_compute_api:os-flavor-extra-specs:index", READER)
_SPECS_CREATE = Policy("os_compute_api:os-flavor-extra-specs:create", ADMIN)
_SPECS_UPDATE = Policy("os_compute_api:os-flavor-extra-specs:update", ADMIN)
_SPECS_DELETE = Policy("os_compute_api:os-flavor-extra-specs:delete", ADMIN)
_ACCESS = Policy("os_compute_api:os-flavor-access", ADMIN)
_ACCESS_ADD = Policy("os_compute_api:os-flavor-access:add_tenant_access", ADMIN)

_QUERY = frozenset({"is_public", "limit", "marker", "minDisk", "minRam", "sort_key", "sort_dir"})
_SORT = {
    "flavorid": "id",
    "id": "id",
    "name": "name",
    "memory_mb": "ram_mib",
    "vcpus": "vcpus",
    "root_gb": "disk_gib",
    "ephemeral_gb": "ephemeral_gib",
    "swap": "swap_mib",
    "created_at": "created_at",
    "rxtx_factor": "rxtx_factor",
    "is_public": "is_public",
    "disabled": "disabled",
}


class NewFlavor(Strict, frozen=True, rename={"ephemeral": "OS-FLV-EXT-DATA:ephemeral"}):
    """What a client may say of a new flavor; numbers may be text, as in Nova."""

    name: str
    ram: int | str
    vcpus: int | str
    disk: int | str
    id: str | int | None = None
    ephemeral: int | str = 0
    swap: int | str = 0
    rxtx_factor: float | str = 1.0
    is_public: bool | str = msgspec.field(default=True, name="os-flavor-access:is_public")


class NewFlavor255(NewFlavor, frozen=True):
    description: str | None = None


class Create(Strict, frozen=True):
    flavor: NewFlavor


class Create255(Strict, frozen=True):
    flavor: NewFlavor255


class Description(Strict, frozen=True):
    description: str | None


class Update(Strict, frozen=True):
    flavor: Description


class Specs(Strict, frozen=True):
    extra_specs: dict[str, str | int | float]


class Access(msgspec.Struct, frozen=True):
    tenant: str


class Action(Strict, frozen=True, rename="camel"):
    add_tenant_access: Access | None = None
    remove_tenant_access: Access | None = None


def view(call: Call[Any], flavor: Flavor) -> dict[str, object]:
    """A flavor in full, as its microversion has it."""
    body: dict[str, object] = {
        "id": flavor.id,
        "name": flavor.name,
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "swap": flavor.swap_mib or (0 if at_least(call, "2.75") else ""),
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gib,
        "OS-FLV-DISABLED:disabled": flavor.disabled,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": flavor.rxtx_factor,
        "links": links(call, f"flavors/{flavor.id}"),
    }
    if at_least(call, "2.55"):
        body["description"] = flavor.description
    if at_least(call, "2.61"):
        body["extra_specs"] = flavor.extra_specs
    return body


def _brief(call: Call[Any], flavor: Flavor) -> dict[str, object]:
    body: dict[str, object] = {
        "id": flavor.id,
        "name": flavor.name,
        "links": links(call, f"flavors/{flavor.id}"),
    }
    if at_least(call, "2.55"):
        body["description"] = flavor.description
    return body


def list_brief(call: Call[None]) -> dict[str, object]:
    """List flavors by name."""
    flavors, more = _page(call)
    return _with_link(call, "flavors", {"flavors": [_brief(call, one) for one in flavors]}, more)


def list_detail(call: Call[None]) -> dict[str, object]:
    """List flavors in full."""
    flavors, more = _page(call)
    body: dict[str, object] = {"flavors": [view(call, one) for one in flavors]}
    return _with_link(call, "flavors/detail", body, more)


def _with_link(
    call: Call[None], path: str, body: dict[str, object], more: str
) -> dict[str, object]:
    return body | {"flavors_links": next_link(call, path, more)} if more else body


def _page(call: Call[None]) -> tuple[list[Flavor], str]:
    """The flavors asked for, and the id to go on after, empty when these are all."""
    only(call, _QUERY)
    least = [
        (attribute, integer(text, name))
        for name, attribute in (("minRam", "ram_mib"), ("minDisk", "disk_gib"))
        if (text := call.asked(name)) is not None
    ]
    found = [
        flavor
        for flavor in control.list_flavors(call.site, call.caller, _is_public(call))
        if all(getattr(flavor, attribute) >= number for attribute, number in least)
    ]
    ids = [flavor.id for flavor in _sorted(call, found)]
    by_id = {flavor.id: flavor for flavor in found}
    start = 0
    if marker := call.asked("marker"):
        if marker not in by_id:
            raise Invalid(f"marker [{marker[:80]}] not found")
        start = ids.index(marker) + 1
    limit = limit_of(call)
    page = [by_id[flavor_id] for flavor_id in ids[start : start + limit]]
    return page, page[-1].id if page and start + limit < len(ids) else ""


def _sorted(call: Call[None], flavors: list[Flavor]) -> list[Flavor]:
    key, direction = call.asked("sort_key") or "flavorid", call.asked("sort_dir") or "asc"
    if key not in _SORT or direction not in ("asc", "desc"):
        raise Invalid(f"sort_key {key[:40]!r}, sort_dir {direction[:40]!r}: nothing to sort by")
    attribute = _SORT[key]
    return sorted(flavors, key=lambda f: (getattr(f, attribute), f.id), reverse=direction == "desc")


def _is_public(call: Call[None]) -> bool | None:
    text = call.asked("is_public")
    if text is None:
        return True
    return None if text.lower() == "none" else flag(text, "is_public")


def show(call: Call[None]) -> dict[str, object]:
    """Show one flavor."""
    found = control.show_flavor(call.site, call.caller, call.path["flavor_id"])
    return {"flavor": view(call, found)}


def create(call: Call[Create | Create255]) -> dict[str, object]:
    """Make a flavor."""
    asked = call.body.flavor
    description = asked.description if isinstance(asked, NewFlavor255) else None
    new = Flavor(
        id="" if asked.id in (None, "", "auto") else str(asked.id),
        name=name_value(asked.name),
        vcpus=integer(asked.vcpus, "vcpus", 1),
        ram_mib=integer(asked.ram, "ram", 1),
        disk_gib=integer(asked.disk, "disk"),
        ephemeral_gib=integer(asked.ephemeral, "OS-FLV-EXT-DATA:ephemeral"),
        swap_mib=integer(asked.swap, "swap"),
        rxtx_factor=_factor(asked.rxtx_factor),
        is_public=flag(asked.is_public, "os-flavor-access:is_public"),
        description=description_value(description),
    )
    return {"flavor": view(call, control.create_flavor(call.site, new))}


def _factor(value: float | str) -> float:
    try:
        factor = float(value)
    except ValueError as error:
        raise Invalid(f"rxtx_factor {str(value)[:40]!r} is not a number") from error
    if not 0 < factor < 3.4e38:  # noqa: PLR2004 what a column of 32 bits holds, as in Nova
        raise Invalid("rxtx_factor must be greater than 0")
    return factor


def update(call: Call[Update]) -> dict[str, object]:
    """Describe a flavor."""
    text = description_value(call.body.flavor.description)
    described = control.describe_flavor(call.site, call.path["flavor_id"], text)
    return {"flavor": view(call, described)}


def delete(call: Call[None]) -> None:
    """Delete a flavor."""
    control.delete_flavor(call.site, call.path["flavor_id"])


def list_specs(call: Call[None]) -> dict[str, object]:
    """List a flavor's extra specs."""
    found = control.show_flavor(call.site, call.caller, call.path["flavor_id"])
    return {"extra_specs": found.extra_specs}


def show_spec(call: Call[None]) -> dict[str, object]:
    """Show one extra spec."""
    found = control.show_flavor(call.site, call.caller, call.path["flavor_id"])
    key = call.path["key"]
    if key not in found.extra_specs:
        raise NotFound(f"Flavor {found.id} has no extra specs with key {key[:255]}.")
    return {key: found.extra_specs[key]}


def create_specs(call: Call[Specs]) -> dict[str, object]:
    """Add extra specs to those that a flavor has."""
    specs = {key: str(value) for key, value in call.body.extra_specs.items()}
    _set(call, specs)
    return {"extra_specs": specs}


def update_spec(call: Call[dict[str, str | int | float]]) -> dict[str, object]:
    """Set one extra spec."""
    key = call.path["key"]
    if set(call.body) != {key}:
        raise Invalid(f"the body must have the key {key[:255]} of the URL, and no other")
    specs = {key: str(call.body[key])}
    _set(call, specs)
    return dict(specs)


def _set(call: Call[Any], specs: dict[str, str]) -> None:
    control.set_specs(call.site, call.path["flavor_id"], specs, validated=at_least(call, "2.86"))


def delete_spec(call: Call[None]) -> Reply:
    """Remove one extra spec."""
    control.unset_spec(call.site, call.path["flavor_id"], call.path["key"])
    return Reply(body=b"", media_type="application/json")


def list_access(call: Call[None]) -> dict[str, object]:
    """List the projects that may use a private flavor."""
    flavor_id = call.path["flavor_id"]
    return _access(flavor_id, control.list_access(call.site, flavor_id))


def act(call: Call[Action]) -> dict[str, object]:
    """Let a project use a private flavor, or no longer."""
    flavor_id, add, remove = (
        call.path["flavor_id"],
        call.body.add_tenant_access,
        call.body.remove_tenant_access,
    )
    if (add is None) == (remove is None):
        raise Invalid("the body must have addTenantAccess or removeTenantAccess")
    if add is not None:
        return _access(flavor_id, control.add_access(call.site, flavor_id, name_value(add.tenant)))
    assert remove is not None
    return _access(flavor_id, control.remove_access(call.site, flavor_id, remove.tenant))


def _access(flavor_id: str, projects: Any) -> dict[str, object]:
    return {"flavor_access": [{"flavor_id": flavor_id, "tenant_id": one} for one in projects]}


_ONE = "/v2.1/flavors/{flavor_id}"
_SPECS = "/v2.1/flavors/{flavor_id}/os-extra_specs"

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.1/flavors", handler=list_brief, policy=_READ),
    Row(method="GET", path="/v2.1/flavors/detail", handler=list_detail, policy=_READ),
    Row(
        method="POST",
        path="/v2.1/flavors",
        handler=create,
        policy=_CREATE,
        accepts=Create,
        until="2.54",
    ),
    Row(
        method="POST",
        path="/v2.1/flavors",
        handler=create,
        policy=_CREATE,
        accepts=Create255,
        since="2.55",
    ),
    Row(method="GET", path=_ONE, handler=show, policy=_READ),
    Row(method="PUT", path=_ONE, handler=update, policy=_UPDATE, accepts=Update, since="2.55"),
    Row(method="DELETE", path=_ONE, handler=delete, policy=_DELETE, status=HTTPStatus.ACCEPTED),
    Row(method="GET", path=_SPECS, handler=list_specs, policy=_SPECS_READ),
    Row(method="POST", path=_SPECS, handler=create_specs, policy=_SPECS_CREATE, accepts=Specs),
    Row(method="GET", path=_SPECS + "/{key}", handler=show_spec, policy=_SPECS_READ),
    Row(
        method="PUT",
        path=_SPECS + "/{key}",
        handler=update_spec,
        policy=_SPECS_UPDATE,
        accepts=dict[str, str | int | float],
    ),
    Row(method="DELETE", path=_SPECS + "/{key}", handler=delete_spec, policy=_SPECS_DELETE),
    Row(method="GET", path=_ONE + "/os-flavor-access", handler=list_access, policy=_ACCESS),
    Row(method="POST", path=_ONE + "/action", handler=act, policy=_ACCESS_ADD, accepts=Action),
)
