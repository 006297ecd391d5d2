"""``lanekeeper inventory``: a whole Placement inventory out, in, and from one server to another."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from lanekeeper.cli import exit_code
from lanekeeper.cli.cloud import check_authority, check_url, connect
from lanekeeper.cli.placement_api import PlacementApi, transfer
from lanekeeper.config.file import read_text
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.document import Document, parse

_SHOWN = 50


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``inventory`` and its verbs; the handler is ``handler`` of the result."""
    noun = subparsers.add_parser("inventory", help="a Placement inventory as a whole")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    export = verbs.add_parser(
        "export",
        help="write all providers, inventories, traits, aggregates and allocations as JSON",
    )
    _server(export, "", "of this Placement, not of the controller that the environment names")
    export.add_argument("--output", metavar="FILE", type=Path, help="to this file, not to stdout")
    export.set_defaults(handler=run_export)
    into = verbs.add_parser(
        "import",
        help="copy the inventory of a Placement, and compare",
        description="Copies all providers, inventories, traits, aggregates and allocations into "
        "the controller that the environment names (or --target), then reads both and compares. "
        "Exit code 0: equal. 1: differences, which are printed. Doing it again does only what is "
        "not done; nothing is deleted.",
    )
    what = into.add_mutually_exclusive_group(required=True)
    what.add_argument("--file", metavar="FILE", type=Path, help="an exported document")
    what.add_argument("--placement", metavar="URL", help="a running Placement, 1.39 or later")
    into.add_argument(
        "--placement-token-file", metavar="FILE", type=Path, help="a token that it takes"
    )
    into.add_argument("--placement-cacert", metavar="FILE", help="the CA of its certificate")
    _server(into, "target-", "into this Placement, not the controller of the environment")
    into.set_defaults(handler=run_import)


def _server(parser: argparse.ArgumentParser, prefix: str, meaning: str) -> None:
    name = prefix.removesuffix("-") or "placement"
    stem = prefix or "placement-"
    parser.add_argument(f"--{name}", metavar="URL", help=meaning)
    parser.add_argument(f"--{stem}token-file", metavar="FILE", type=Path, help="its token")
    parser.add_argument(f"--{stem}cacert", metavar="FILE", help="the CA of its certificate")


def run_export(parsed: argparse.Namespace) -> int:
    """Write the document; a file only when all of it was read."""
    document = _api(parsed, "placement").read()
    raw = msgspec.json.format(msgspec.json.encode(document, order="sorted"))
    if parsed.output is None:
        sys.stdout.write(raw.decode() + "\n")
        return exit_code.DONE
    try:
        parsed.output.write_bytes(raw + b"\n")
    except OSError as error:
        raise Invalid(f"{parsed.output} cannot be written: {error.strerror}") from error
    print(f"{_count(document)} written to {parsed.output}")
    return exit_code.DONE


def run_import(parsed: argparse.Namespace) -> int:
    """Copy, compare, and print what differs."""
    target = _api(parsed, "target")
    source = _read_file(parsed.file) if parsed.file else _api(parsed, "placement").read()
    print(f"{_count(source)} found", file=sys.stderr)
    found = transfer(source, target)
    for line in found[:_SHOWN]:
        print(line)
    if len(found) > _SHOWN:
        print(f"... and {len(found) - _SHOWN} more")
    if found:
        print(f"{len(found)} differences", file=sys.stderr)
        return exit_code.NO
    print(f"{_count(source)} are the same on both sides")
    return exit_code.DONE


def _read_file(path: Path) -> Document:
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from error
    except Invalid as error:
        raise Invalid(f"{path}: {error}") from error


def _api(parsed: argparse.Namespace, name: str) -> PlacementApi:
    url = getattr(parsed, name)
    if url is None:
        cloud = connect()
        return PlacementApi(
            f"{cloud.login.base_url}/placement", cloud.token, cloud.login.cacert or True
        )
    check_url(url, f"--{name}")
    token_file = getattr(parsed, f"{name}_token_file")
    if token_file is None:
        raise Invalid(
            f"--{name} needs --{name}-token-file",
            hint="openstack token issue -f value -c id >FILE; the word admin for noauth2",
        )
    token = read_text(token_file).strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Invalid(
            f"{token_file} holds no token: one line of visible characters",
            hint="openstack token issue -f value -c id >FILE",
        )
    cacert = getattr(parsed, f"{name}_cacert")
    check_authority(cacert, f"--{name}-cacert")
    return PlacementApi(url, token, cacert or True)


def _count(document: Document) -> str:
    return f"{len(document.providers)} providers and {len(document.consumers)} consumers"
