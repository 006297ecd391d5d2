"""The files of the guests of one host: one directory for each, named by the server's id."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from lanekeeper.domain.errors import Invalid

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OPEN_TO_QEMU = 0o711  # QEMU may run as a user of its own; it passes through, nobody lists


class GuestDirectory:
    """Where the files of one guest lie; made when something is written there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.disk = path / "disk.qcow2"
        self.config_drive = path / "config.iso"
        self.console = path / "console.log"

    def make(self) -> None:
        self.path.mkdir(mode=_OPEN_TO_QEMU, parents=True, exist_ok=True)

    def console_tail(self, bytes_max: int) -> bytes:
        """Return the last *bytes_max* of what the guest has printed; empty when nothing."""
        try:
            with self.console.open("rb") as console:
                size = console.seek(0, os.SEEK_END)
                console.seek(max(0, size - bytes_max))
                return console.read(bytes_max)
        except FileNotFoundError:
            return b""


class GuestDirectories:
    """All guests' files below *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, server_id: str) -> GuestDirectory:
        """Raises Invalid for what is not a uuid: the id becomes the name of a directory."""
        if not _ID.fullmatch(server_id):
            raise Invalid(f"server id {server_id!r} is not a uuid in lower case")
        return GuestDirectory(self._root / server_id)

    def ids(self) -> frozenset[str]:
        """Name the servers that have files here."""
        if not self._root.is_dir():
            return frozenset()
        return frozenset(entry.name for entry in self._root.iterdir() if _ID.fullmatch(entry.name))

    def remove(self, server_id: str) -> None:
        """Delete all of a guest's files. Gone already is done."""
        shutil.rmtree(self.of(server_id).path, ignore_errors=False, onerror=_unless_gone)


def _unless_gone(_function: object, _path: str, error: tuple[type, BaseException, object]) -> None:
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]
