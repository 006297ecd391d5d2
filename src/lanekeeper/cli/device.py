"""``lanekeeper device``: the fleet's devices, who holds each, cleaning and keeping one back."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from typing import Any

from lanekeeper.cli import exit_code
from lanekeeper.cli.cloud import Cloud, connect
from lanekeeper.cli.table import table
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.pci.address import PciAddress

_PATH = "/lanekeeper/v1/devices"
_ORDERS = {
    "clean": "have a quarantined device cleaned once more",
    "release": "have a spent, reserved or retired device serve again",
    "retire": "take a device out until it is released; who holds it keeps it till then",
}
_AWAY = ("unlisted", "missing")
_HOSTS_NAMED = 5
_PAGE = 1000
"""Devices in one answer, where there are more."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``device`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("device", help="devices of the fleet and who holds them")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="list devices")
    listing.add_argument("--host", metavar="HOST", help="of this host alone")
    listing.add_argument(
        "--state",
        metavar="STATE",
        help="in this state alone: available, held, cleaning, quarantined, unlisted or missing; or "
        "kept back so, whatever its state: spent, reserved or retired",
    )
    listing.add_argument(
        "--needs-attention",
        action="store_true",
        help="those alone that wait for somebody: quarantined, spent, not well, or away with a "
        "guest",
    )
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(handler=run_list)
    show = verbs.add_parser("show", help="show one device")
    show.add_argument("device", metavar="ADDRESS|ID")
    show.add_argument("--host", metavar="HOST", help="of an address: on this host")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(handler=run_show)
    history = verbs.add_parser("history", help="who held a device, when, and how it was cleaned")
    history.add_argument("device", metavar="ADDRESS|ID")
    history.add_argument("--host", metavar="HOST", help="of an address: on this host alone")
    history.add_argument("--limit", metavar="N", help="the latest N alone")
    history.add_argument("--json", action="store_true", help="as JSON")
    history.set_defaults(handler=run_history)
    for verb, help_ in _ORDERS.items():
        order = verbs.add_parser(verb, help=help_)
        order.add_argument("device", metavar="ADDRESS|ID")
        order.add_argument("--host", metavar="HOST", help="of an address: on this host")
        order.add_argument("--json", action="store_true", help="as JSON")
        order.set_defaults(handler=run_order)


def run_list(parsed: argparse.Namespace) -> int:
    """Print devices, one a line."""
    query = {key: value for key in ("host", "state") if (value := getattr(parsed, key)) is not None}
    if parsed.needs_attention:
        query["needs_attention"] = "true"
    cloud, devices = connect(), list[dict[str, Any]]()
    while True:
        page = cloud.get(_PATH, **query)["devices"]
        devices += page
        if len(page) != _PAGE:
            break
        query["marker"] = page[-1]["id"]
    if parsed.json:
        print(json.dumps(devices, indent=2))
    else:
        print(list_text(devices))
    return exit_code.DONE


def run_show(parsed: argparse.Namespace) -> int:
    """Print all that is known of one device."""
    cloud = connect()
    path = _path_of(_id_of(cloud, parsed.device, parsed.host))
    _print(parsed, cloud.get(path)["device"])
    return exit_code.DONE


def run_history(parsed: argparse.Namespace) -> int:
    """Print what became of a device, the latest first."""
    query = {key: value for key in ("host", "limit") if (value := getattr(parsed, key)) is not None}
    path = f"{_PATH}/{_id_or_address(parsed.device)}/history"
    events: list[dict[str, Any]] = connect().get(path, **query)["events"]
    print(json.dumps(events, indent=2) if parsed.json else history_text(events))
    return exit_code.DONE


def _id_or_address(device: str) -> str:
    try:
        return str(PciAddress.parse(device))
    except Invalid:
        return str(_path_of(device)).rpartition("/")[2]


def history_text(events: list[dict[str, Any]]) -> str:
    """One event a line, with the steps of a cleaning."""
    rows = [
        (
            one["at"][:19].replace("T", " "),
            one["host"] or "-",
            one["address"],
            one["what"],
            one["holder_name"] or one["holder"] or "-",
            (one["by"] or {}).get("user_id") or "-",
            "; ".join(filter(None, (one["detail"].get("reason"), *one["detail"].get("steps", ())))),
        )
        for one in events
    ]
    return table(("at (UTC)", "host", "address", "what", "holder", "by", "how"), rows)


def run_order(parsed: argparse.Namespace) -> int:
    """Have something done with one device, as ``_ORDERS`` says."""
    cloud = connect()
    path = _path_of(_id_of(cloud, parsed.device, parsed.host))
    answer = cloud.post(f"{path}/{parsed.verb}")
    _print(parsed, answer["device"])
    if note := answer.get("note"):
        print(f"note: {note}", file=sys.stderr)
    return exit_code.DONE


def _id_of(cloud: Cloud, device: str, host: str | None) -> str:
    """The id of the one device at an address; what is no address is an id.

    Raises:
        NotFound: none is there; Conflict: several are, and which of them is meant nobody can tell.
    """
    try:
        address = str(PciAddress.parse(device))
    except Invalid:
        return device
    query = {"address": address} | ({"host": host} if host is not None else {})
    found: list[dict[str, Any]] = cloud.get(_PATH, **query)["devices"]
    there = [one for one in found if one["state"] not in _AWAY] or found
    if not there:
        where = f" of {host}" if host is not None else ""
        raise NotFound(f"no device{where} is at {address}", hint="lanekeeper device list")
    if len(there) > 1:
        hosts = list(dict.fromkeys(one["host"] for one in there))
        named = ", ".join(hosts[:_HOSTS_NAMED]) + (", ..." if len(hosts) > _HOSTS_NAMED else "")
        raise Conflict(
            f"{len(there)} devices are at {address}, on {named}",
            hint="say which: --host HOST" if len(hosts) > 1 else "name one by its id",
        )
    return str(there[0]["id"])


def _path_of(device: str) -> str:
    """Where the device with this id is.

    Raises:
        Invalid: it is no id; in a path it could name anything.
    """
    try:
        return f"{_PATH}/{uuid.UUID(device)}"
    except ValueError as error:
        hint = "lanekeeper device list shows the ids"
        raise Invalid(f"{device[:80]!r} is not the id of a device", hint=hint) from error


def list_text(devices: list[dict[str, Any]]) -> str:
    """The devices that guests may have; PFs that are told for their VFs alone, and are well, are
    left out.

    What is only given away together has one ``unit``; where there is none the column is left out.
    """
    has_units = any(one["unit"] for one in devices)
    rows = [
        (
            one["host"],
            one["address"],
            *((one["unit"] or "-",) if has_units else ()),
            f"{one['vendor_id']}:{one['product_id']}",
            one["physical_network"] or one["resource_class"] or "-",
            _standing(one),
            "; ".join(one["health"]) or "ok",
            one["holder_name"] or one["holder"] or "-",
            one["id"],
        )
        for one in devices
        if _is_shown(one)
    ]
    unit = ("unit",) if has_units else ()
    head = ("host", "address", *unit, "device", "serves", "state", "health", "holder", "id")
    return table(head, rows)


def _is_shown(one: dict[str, Any]) -> bool:
    """What is listed is shown, and what is neither but not as it should be."""
    is_kept = one["state"] in ("held", "cleaning", "quarantined", "unlisted") or one["reserved"]
    return bool(one["listed"] or is_kept or one["holder"])


def _standing(one: dict[str, Any]) -> str:
    """A clean device that is kept back is ``spent``, not ``available``."""
    if not one["reserved"]:
        return str(one["state"])
    return str(
        one["reserved"] if one["state"] == "available" else f"{one['state']}, {one['reserved']}"
    )


def _print(parsed: argparse.Namespace, device: dict[str, Any]) -> None:
    if parsed.json:
        print(json.dumps(device, indent=2))
    else:
        print(
            table(("field", "value"), [(key, str(value)) for key, value in sorted(device.items())])
        )
