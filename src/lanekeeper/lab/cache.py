"""The lab's cache directory: what is unpacked or built once and kept between labs.

stamp.json            which distribution's packages are there
kernel/               lib/modules/RELEASE and boot/vmlinuz-RELEASE, never installed
modules-*/            the kernel's modules, some of them made quick to load
tools/busybox         a static busybox, never installed
vmlinux-RELEASE       the kernel without its compression
initramfs-*.img       the lab host's first root
guest/                the guest image's three files
capabilities/KEY/     what libvirt found out about QEMU, for a quick start
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from lanekeeper.domain.errors import NotFound

DEFAULT_CACHE = Path("/var/cache/lanekeeper/lab")


@dataclass(frozen=True, slots=True)
class Cache:
    """Paths below one directory; nothing here makes them."""

    root: Path = DEFAULT_CACHE

    @property
    def stamp(self) -> Path:
        return self.root / "stamp.json"

    @property
    def kernel(self) -> Path:
        return self.root / "kernel"

    @property
    def busybox(self) -> Path:
        return self.root / "tools" / "busybox"

    @property
    def guest(self) -> Path:
        return self.root / "guest"

    @property
    def capabilities(self) -> Path:
        return self.root / "capabilities"

    def release(self) -> str:
        """Name the unpacked kernel's release, such as 6.12.95+deb12-amd64.

        Raises:
            NotFound: no kernel was unpacked here.
        """
        releases = sorted(path.name for path in (self.kernel / "lib/modules").glob("*"))
        if not releases:
            raise NotFound(
                f"no lab kernel is unpacked below {self.kernel}",
                hint="run: lanekeeper lab install",
            )
        return releases[-1]

    def vmlinuz(self) -> Path:
        """The compressed kernel as packaged. Raises NotFound."""
        return self.kernel / "boot" / f"vmlinuz-{self.release()}"


def write_whole(path: Path, content: bytes) -> None:
    """Make *path* hold *content*, or leave it as it was; a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(file.name).unlink()
            raise
