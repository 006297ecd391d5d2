"""Options that describe a server that nobody has made yet, for the commands that ask about one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from lanekeeper.cli.cloud import Cloud
from lanekeeper.domain.errors import Conflict, Invalid

_VNIC_TYPES = ("direct", "direct-physical", "macvtap", "normal")


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add what goes beside ``--flavor``; ``question_body`` reads it."""
    parser.add_argument("--image", metavar="I", help="... booting from this image, by name or id")
    parser.add_argument(
        "--port", action="append", default=[], metavar="P", help="... with this port; repeats"
    )
    parser.add_argument(
        "--network",
        action="append",
        default=[],
        metavar="N",
        help="... with a port that is made on this network; repeats",
    )
    parser.add_argument(
        "--vnic-type",
        choices=_VNIC_TYPES,
        help="... what such ports are of (default: as a creation makes them, by flavor, image and "
        "[lanekeeper] default_vnic_type)",
    )
    parser.add_argument(
        "--trusted", action="store_true", help="... and that they are trusted, by their profile"
    )
    parser.add_argument(
        "--security-group",
        action="append",
        default=[],
        metavar="G",
        help="... and that they have this security group; repeats",
    )
    parser.add_argument("--availability-zone", metavar="ZONE[:HOST]", help="... in this zone")
    parser.add_argument("--host", metavar="HOST", help="... on this host; for admins")
    parser.add_argument(
        "--hint",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="... with this scheduler hint; repeats, a key that comes twice has both values",
    )


def question_body(cloud: Cloud, parsed: argparse.Namespace) -> dict[str, Any]:
    """The question as the API takes it.

    Raises:
        Invalid: a hint without a value; Conflict: two images have the name.
    """
    return {
        "flavor": parsed.flavor,
        "image": _image(cloud, parsed.image) if parsed.image else None,
        "ports": parsed.port,
        "networks": parsed.network,
        "vnic_type": parsed.vnic_type,
        "trusted": True if parsed.trusted else None,
        "security_groups": parsed.security_group,
        "availability_zone": parsed.availability_zone,
        "host": parsed.host,
        "hints": hints_of(parsed.hint),
    }


def hints_of(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` as ``openstack server create --hint`` does.

    Raises:
        Invalid: a text without a key or a ``=``.
    """
    hints: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise Invalid(f"--hint {text!r} is not KEY=VALUE, as in group=UUID")
        before = hints.get(key)
        if before is None:
            hints[key] = value
        else:
            hints[key] = [*(before if isinstance(before, list) else [before]), value]
    return hints


def _image(cloud: Cloud, wanted: str) -> str:
    """The id of an image by its name; what is no image's name is taken for an id."""
    quoted = wanted.replace('"', '""')  # as CSV has it; Glance's filter is a list
    found = cloud.get("/image/v2/images", name=f'in:"{quoted}"')["images"]
    ids = [image["id"] for image in found]
    if len(ids) > 1:
        raise Conflict(f"{len(ids)} images are called {wanted!r}", hint="name one by its id")
    return str(ids[0]) if ids else wanted
