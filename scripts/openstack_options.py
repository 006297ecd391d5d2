r"""Write down the option names of Nova and Neutron, which a foreign file may hold.

Run it with the Python of a throw-away environment that has both:

    python3 -m venv /tmp/openstack && /tmp/openstack/bin/pip install nova neutron
    /tmp/openstack/bin/python scripts/openstack_options.py \
        > src/lanekeeper/data/openstack_options.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

AUTH_SECTIONS = ("keystone_authtoken", "placement", "neutron", "nova", "cinder", "service_user")


def names() -> Iterator[tuple[str, str]]:
    """Yield section and key of every option, old names included."""
    for entry in metadata.entry_points(group="oslo.config.opts"):
        if ".tests." in entry.name:
            continue
        for group, options in entry.load()():
            section = str(getattr(group, "name", group) or "DEFAULT")
            for option in options:
                yield from _names_of(section, option)
    for key in _auth_keys():
        yield from ((section, key) for section in AUTH_SECTIONS)


def _names_of(section: str, option: Any) -> Iterator[tuple[str, str]]:
    yield section, option.dest
    for old in option.deprecated_opts:
        yield old.group or section, (old.name or option.dest).replace("-", "_")


def _auth_keys() -> Iterator[str]:
    from keystoneauth1 import loading

    yield from ("auth_type", "auth_section")
    for options in (
        loading.get_auth_plugin_conf_options("password"),
        loading.get_auth_plugin_conf_options("v3applicationcredential"),
        loading.get_session_conf_options(),
        loading.get_adapter_conf_options(),
    ):
        yield from (option.dest for option in options)


def main() -> None:
    sections: dict[str, set[str]] = {}
    for section, key in names():
        sections.setdefault(section.lower(), set()).add(key)
    versions = {name: metadata.version(name) for name in ("nova", "neutron")}
    document = {
        "versions": versions,
        "options": {section: sorted(keys) for section, keys in sorted(sections.items())},
    }
    json.dump(document, sys.stdout, indent=0)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
