import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypervisor.embedded import embedded_uri
from lanekeeper.hypervisor.driver import Hypervisor


@pytest.fixture(scope="session")
def libvirt_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A libvirt of the tests' own; one a process is all that libvirt allows."""
    if os.geteuid() or not shutil.which("qemu-system-x86_64"):
        pytest.skip("needs root and qemu-system-x86_64")
    yield from embedded_uri(tmp_path_factory.mktemp("libvirt"))


@pytest.fixture
def libvirt_hypervisor(libvirt_uri: str, tmp_path: Path) -> Iterator[Hypervisor]:
    from lanekeeper.hypervisor.libvirt.connection import Connection
    from lanekeeper.hypervisor.libvirt.guests import LibvirtHypervisor

    connection = Connection(libvirt_uri)
    hypervisor = LibvirtHypervisor(connection, tmp_path, kvm=False)
    yield hypervisor
    for guest in hypervisor.inventory().guests:
        hypervisor.power_off(guest.id)
        hypervisor.undefine(guest.id)
    connection.close()
