r"""Write down the option names of OpenStack's services, which a foreign file may hold.

Run it with the Python of an environment that has some of them; what others had is kept:

    python3 -m venv /tmp/openstack && /tmp/openstack/bin/pip install nova neutron
    for python in /tmp/openstack/bin/python .venv-placement/bin/python; do
        $python scripts/openstack_options.py
    done
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parent.parent / "src/lanekeeper/data/openstack_options.json"
SERVICES = ("nova", "neutron", "openstack-placement")
AUTH_SECTIONS = ("keystone_authtoken", "placement", "neutron", "nova", "cinder", "service_user")

# An agent's extension registers it, and no entry point tells of it: neutron
# ``conf/agent/l2_ext_fdb_population.py``.
UNLISTED = (("FDB", "shared_physical_device_mappings"),)


def names() -> Iterator[tuple[str, str]]:
    """Yield section and key of every option, old names included."""
    for entry in metadata.entry_points(group="oslo.config.opts"):
        if ".tests." in entry.name:
            continue
        for group, options in entry.load()():
            section = str(getattr(group, "name", group) or "DEFAULT")
            for option in options:
                yield from _names_of(section, option)
    yield from UNLISTED
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
    kept = json.loads(DOCUMENT.read_text()) if DOCUMENT.exists() else {}
    sections = {section: set(keys) for section, keys in kept.get("options", {}).items()}
    for section, key in names():
        sections.setdefault(section.lower(), set()).add(key)
    versions = dict(kept.get("versions", {}))
    for name in SERVICES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    document = {
        "versions": versions,
        "options": {section: sorted(keys) for section, keys in sorted(sections.items())},
    }
    DOCUMENT.write_text(json.dumps(document, indent=0) + "\n")


if __name__ == "__main__":
    main()
