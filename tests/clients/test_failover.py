"""Failover pairs by the stock client, on a host that has VFs and a bridge."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.conftest import Surroundings, prepare
from clients.test_normal_port import CONFIG
from running import CommandFailed, running

pytestmark = pytest.mark.client


def test_a_server_has_a_vf_and_what_stands_by_for_it(tmp_path: Path) -> None:
    config = tmp_path / "nova.conf"
    config.write_text(CONFIG)
    with running(tmp_path / "state", config_files=[config]) as instance:
        there = Surroundings(instance)
        prepare(there)
        asked = ("--network", there.network, "--binding-profile", "failover=true")
        for name in ("pair", "late"):
            instance.openstack("port", "create", *asked, "--vnic-type", "direct", name)
        with pytest.raises(CommandFailed, match="the port is of vnic type normal"):
            instance.done("port", "create", *asked, "wrong")
        one = there.server_arguments(there.plain, "--port", "pair")
        instance.openstack("server", "create", *one, "--wait", "one")
        shown = instance.openstack("port", "show", "pair")
        assert (shown["binding_vif_type"], shown["status"]) == ("hw_veb", "ACTIVE")
        standby = shown["binding_vif_details"]["standby"]
        assert "br-ex" in str(standby)
        assert shown["binding_profile"]["failover"] == "true"
        instance.done("server", "add", "port", "one", "late")
        instance.done("server", "remove", "port", "one", "late")
        instance.done("server", "delete", "--wait", "one")
        shown = instance.openstack("port", "show", "pair")
        assert (shown["binding_vif_type"], shown["status"]) == ("unbound", "DOWN")
        assert shown["binding_profile"] == {"failover": "true"}
