"""The lab host's modules: the packaged kernel's, those that every lab loads made quick to load.

Under emulation a packaged module costs up to seconds: it is unpacked, its signature is computed,
and for each of its functions the kernel searches the module's whole symbol table, so that the
function could be traced. A module without those three does the same work. The kernel takes it and
calls itself tainted by an unsigned one, which nothing here looks at.

Source: Linux ``kernel/module/signing.c``; ``lanekeeper.lab.traceable``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from lanekeeper.lab.cache import Cache
from lanekeeper.lab.kernel import read_module_files
from lanekeeper.lab.program import run

QUICK = (
    *("ahci", "i2c_i801", "iTCO_wdt", "igb", "igbvf", "kvm_amd", "kvm_intel", "lpc_ich", "nvme"),
    *("tap", "tun", "vfio-pci", "vfio_iommu_type1", "vhost_net", "virtio_console", "virtio_net"),
)
"""What a lab host's udev, libvirt and tests load; what these depend on is quick too."""
_FORM = 2  # of the tree; another number has it built anew


def build(cache: Cache) -> Path:
    """Make the tree that lies at the lab host's ``/lib/modules``, once; return its path.

    It takes little room: what stays as it was packaged is the same files.

    Raises:
        NotFound: no kernel was unpacked here.
        HostFault: the packaged kernel lacks a module.
    """
    image = cache.vmlinuz().stat()
    told = f"{_FORM} {cache.release()} {image.st_size} {image.st_mtime_ns} {QUICK}"
    base = cache.root / f"modules-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    if not base.exists():
        _build(cache, base)
    return base / "lib/modules"


def _build(cache: Cache, base: Path) -> None:
    packaged = (cache.kernel / "lib/modules").resolve()
    with TemporaryDirectory(dir=cache.root, prefix=".modules-") as folder:
        stage = Path(folder, "stage")
        copy = stage / "lib/modules"
        shutil.copytree(packaged, copy, symlinks=True, copy_function=os.link)
        for path, module in read_module_files(cache, QUICK).items():
            place = copy / path.resolve().relative_to(packaged)
            place.unlink()
            place.with_name(module.name).write_bytes(module.content)
        for index in (copy / cache.release()).glob("modules.*"):  # depmod's, which it writes anew
            content = index.read_bytes()
            index.unlink()
            index.write_bytes(content)
        run(["depmod", "-b", str(stage), cache.release()])
        try:
            stage.rename(base)
        except OSError:
            if not base.exists():  # else another lab's start was quicker
                raise
