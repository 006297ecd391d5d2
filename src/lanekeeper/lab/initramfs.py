"""The lab host's first root: enough to mount the outer machine's files and step into them.

The outer root comes read-only over 9p; what the lab host writes lands on its disk, by an overlay.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from lanekeeper.lab import cpio
from lanekeeper.lab.cache import Cache, write_whole
from lanekeeper.lab.disk import LAYER
from lanekeeper.lab.kernel import read_modules

MODULES = (
    "9p",
    "9pnet_virtio",
    "overlay",
    "virtio_blk",
    "ext4",
)  # what Debian's kernel lacks until modules are there
APPLETS = ["sh", "mount", "insmod", "mkdir", "cat", "switch_root"]

# cache=loose serves a file from the lab host's memory once it was read; so what is built outside
# for a running lab gets a new name instead of a new content.
INIT = f"""#!/bin/sh
fail() {{ echo "LAB-FAIL $1" >/dev/console; exec sleep 86400; }}
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in $(cat /modules/order); do
  insmod /modules/$m || echo "LAB-WARN insmod $m" >/dev/console
done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /lower ||
  fail "mount of the outer root"
mount -t ext4 /dev/vda /upper || fail "mount of its disk"
[ -d /upper/{LAYER} ] || export LAB_FIRST_BOOT=yes
mkdir -p /upper/{LAYER} /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/{LAYER},workdir=/upper/work overlay /root ||
  fail "mount of the overlay"
mkdir -p /root/proc /root/sys /root/dev /root/run
mount -o move /proc /root/proc; mount -o move /sys /root/sys; mount -o move /dev /root/dev
. /lab.env
export PYTHONDONTWRITEBYTECODE=1
exec switch_root /root "$LAB_PYTHON" -S -m lanekeeper.lab.inside.init
"""


def build(cache: Cache) -> Path:
    """Make the lab host's initramfs, named by what it holds, and return its path."""
    modules = read_modules(cache, MODULES)
    content = cpio.archive(
        [
            *(
                cpio.folder(name)
                for name in ["bin", "dev", "lower", "modules", "proc", "root", "sys", "upper"]
            ),
            cpio.file("bin/busybox", cache.busybox.read_bytes(), executable=True),
            *(cpio.link(f"bin/{name}", "busybox") for name in [*APPLETS, "sleep"]),
            cpio.file("modules/order", "\n".join(module.name for module in modules).encode()),
            *(cpio.file(f"modules/{module.name}", module.content) for module in modules),
            cpio.file("init", INIT.encode(), executable=True),
        ]
    )
    digest = hashlib.sha256(content).hexdigest()[:16]
    path = cache.root / f"initramfs-{digest}.img"
    if not path.exists():
        write_whole(path, gzip.compress(content, compresslevel=1, mtime=0))
    return path
