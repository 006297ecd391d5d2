"""Neutron's API on one port of 127.0.0.1; runs in Neutron's environment, by itself.

Usage: neutron_server.py HOME PORT HOST. HOME has neutron.conf and api-paste.ini. The tables are
made from Neutron's models, since its migrations do not run on SQLite; on HOST there is an agent for
NICs, which was never started, but is alive.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
import warnings
from datetime import UTC, datetime
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

warnings.simplefilter("ignore")

_MAPPINGS = {
    ("NIC Switch agent", "neutron-sriov-nic-agent"): {
        "device_mappings": {"physnet1": ["enp33s0f0"]},
        "extensions": [],
    },
}


_FIRST_RULES = (
    # direction, ethertype, remote group, in default groups, in others
    ("egress", "IPv4", None, True, True),
    ("egress", "IPv6", None, True, True),
    ("ingress", "IPv4", "PARENT", True, False),
    ("ingress", "IPv6", "PARENT", True, False),
)
"""Rules of new groups, which its migrations write.

Source: neutron ``db/migration/…/c33da356b165_security_group_default_rules.py``.
"""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Each request is told by the one who asks."""


def _make_database(path: Path, host: str) -> None:
    import sqlalchemy as sa
    from neutron.db.migration.models import head  # noqa: F401 all tables
    from neutron_lib.db import model_base

    engine = sa.create_engine(f"sqlite:///{path}")
    model_base.BASEV2.metadata.create_all(engine)
    agents = model_base.BASEV2.metadata.tables["agents"]
    rules = model_base.BASEV2.metadata.tables["securitygroupdefaultrules"]
    attributes = model_base.BASEV2.metadata.tables["standardattributes"]
    now = datetime.now(UTC).replace(tzinfo=None)
    with engine.begin() as connection:
        for (kind, binary), said in _MAPPINGS.items():
            connection.execute(
                agents.insert().values(
                    id=str(uuid.uuid4()),
                    agent_type=kind,
                    binary=binary,
                    topic="N/A",
                    host=host,
                    admin_state_up=True,
                    created_at=now,
                    started_at=now,
                    heartbeat_timestamp=now,
                    configurations=json.dumps(said),
                    load=0,
                )
            )
        for number, one in enumerate(_FIRST_RULES, 1):
            direction, ethertype, remote, in_default, in_others = one
            connection.execute(
                attributes.insert().values(
                    id=number,
                    resource_type="security_group_default_rules",
                    created_at=now,
                    updated_at=now,
                )
            )
            connection.execute(
                rules.insert().values(
                    id=str(uuid.uuid4()),
                    standard_attr_id=number,
                    direction=direction,
                    ethertype=ethertype,
                    remote_group_id=remote,
                    used_in_default_sg=in_default,
                    used_in_non_default_sg=in_others,
                )
            )
    engine.dispose()


def main() -> None:
    home, port, host = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    del sys.argv[1:]  # Neutron would take them for its own
    _make_database(home / "neutron.sqlite", host)
    os.environ["OS_NEUTRON_CONFIG_FILES"] = str(home / "neutron.conf")
    from neutron.wsgi.api import application

    with make_server("127.0.0.1", port, application, handler_class=_Quiet) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
