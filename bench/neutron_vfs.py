"""Neutron's SR-IOV agent on planted cards, for ``bench.vfs``.

It runs in Neutron's environment, by itself: ``neutron_vfs.py ROOT PORT PFS VFS``. The agent's own
loop is called: discover_devices, scan_devices, process_network_devices, and for the rate the QoS
extension's driver. What it would ask of the controller by message is answered here. Its privileged
part is called in the same process, without the daemon that calls go through in production.
"""

from __future__ import annotations

import collections
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

warnings.simplefilter("ignore")
sys.path.append(str(Path(__file__).parents[1]))

from bench import vf_wire  # noqa: E402

ROOT, PORT, PFS, VFS = sys.argv[1], *map(int, sys.argv[2:5])
vf_wire.lead(PORT)

from neutron import privileged  # noqa: E402
from neutron.agent.linux import ip_lib  # noqa: E402
from neutron.plugins.ml2.drivers.mech_sriov.agent import (  # noqa: E402
    eswitch_manager,
    sriov_nic_agent,
)
from neutron.plugins.ml2.drivers.mech_sriov.agent.extension_drivers import (  # noqa: E402
    qos_driver,
)

MAX_KBPS = 100_000


class _Controller:
    """The plugin's side: every VF has a port, without port security."""

    def get_devices_details_list(self, _context: object, devices: set, *_more: object) -> list:
        return [
            {
                "device": one.mac,
                "port_id": one.mac,
                "network_id": "n",
                "profile": {"pci_slot": one.pci_slot},
                "admin_state_up": True,
                "port_security_enabled": False,
                "propagate_uplink_status": False,
            }
            for one in devices
        ]

    def update_device_list(self, *_all: object) -> None:
        """It takes note."""


class _Extensions:
    """The QoS extension, as it calls its driver for a port with a bandwidth limit."""

    def __init__(self) -> None:
        self._driver = qos_driver.QosSRIOVAgentDriver()
        self._driver.initialize()

    def handle_port(self, _context: object, port: dict) -> None:
        rule = SimpleNamespace(max_kbps=MAX_KBPS)
        self._driver.create_bandwidth_limit(port, rule)


def main() -> None:
    privileged.default.set_client_mode(False)
    privileged.link_cmd.set_client_mode(False)
    wrapper = eswitch_manager.PciOsWrapper
    for name in ("DEVICE_PATH", "PCI_PATH", "NUMVFS_PATH"):
        setattr(wrapper, name, ROOT + getattr(wrapper, name))
    mappings = {"physnet1": [f"pf{number}" for number in range(PFS)]}
    known: set = set()
    agents: list = []

    def prepare() -> None:
        known.clear()
        agents[:] = [_agent()]

    def look() -> None:
        agent = agents[0]
        agent.eswitch_mgr.discover_devices(mappings, {})
        seen = agent.scan_devices(set(known), set())
        if agent._device_info_has_changes(seen):
            assert not agent.process_network_devices(seen), "resync asked for"
            known.clear()
            known.update(seen["current"])
        assert len(known) == PFS * VFS, f"{len(known)} VFs were seen"

    ip_lib.IPDevice("pf0").link.get_vfs()
    vf_wire.serve(PORT, prepare, look, look)  # what is loaded only once is loaded by now


def _agent() -> sriov_nic_agent.SriovNicSwitchAgent:
    manager = eswitch_manager.ESwitchManager
    if hasattr(manager, "_instance"):
        del manager._instance
    agent = object.__new__(sriov_nic_agent.SriovNicSwitchAgent)
    agent.context, agent.agent_id = None, "nic"
    agent.conf = SimpleNamespace(host="h")
    agent.network_ports = collections.defaultdict(list)
    agent.agent_state = {"configurations": {}}
    agent.eswitch_mgr = manager()
    agent.plugin_rpc, agent.ext_manager = _Controller(), _Extensions()
    return agent


if __name__ == "__main__":
    main()
