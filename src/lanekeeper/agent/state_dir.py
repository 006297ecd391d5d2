"""What an agent keeps on its host: who it is, what it was last told, what to give back.

Everything else is read from the host. The directory may be passed through by QEMU's own user to
reach the guests' files, so it is 0711 and each secret file is 0600.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path

import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.hypervisor.durable_file import write_durably
from lanekeeper.protocol import Desired


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """Whose host this is: the controller's URL and the name the host goes by there."""

    controller: str
    host_name: str


def not_enrolled(path: Path) -> Invalid:
    """The refusal of a directory that is no enrolled host's."""
    return Invalid(
        f"{path} belongs to no enrolled host",
        hint="run: lanekeeper agent enroll --controller URL --token TOKEN --state-dir DIR",
    )


class StateDir:
    """The agent's own directory."""

    def __init__(self, path: Path) -> None:
        """Make *path* if it is not there.

        Raises:
            Invalid: it cannot be made.
        """
        try:
            path.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(path, error) from error
        self.path = path
        self.servers = path / "servers"
        self.images = path / "images"
        self.ca = path / "ca.pem"
        self.simulated_guests = path / "guests.json"
        self._desired = path / "desired.json"
        self._credential = path / "credential"
        self._enrolled = path / "enrolled.json"

    def lock(self) -> int:
        """Keep any second agent out for as long as the returned descriptor is open.

        Raises:
            Conflict: another agent works with this directory.
            Invalid: nothing can be written there.
        """
        try:
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unusable(self.path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise Conflict(f"another agent works with {self.path}; stop it first") from error
        return handle

    def host_id(self) -> str:
        """Return the host's uuid; the first call makes it, and it never changes."""
        path = self.path / "host.id"
        if not path.exists():
            write_durably(path, f"{uuid.uuid4()}\n".encode(), 0o644)
        text = path.read_text("ascii", "replace").strip()
        try:
            return str(uuid.UUID(text))
        except ValueError as error:
            raise Invalid(f"{path}: {text!r} is not a uuid; put the host's own back") from error

    def enrol(self, enrolled: Enrolled, credential: str, authority: str | None) -> None:
        """Keep what an enrolment gave; *authority* is the PEM of the controller's CA."""
        if authority is not None:
            write_durably(self.ca, authority.encode(), 0o644)
        write_durably(self._credential, credential.encode())
        write_durably(self._enrolled, msgspec.json.encode(enrolled))

    def follow(self, controller_url: str) -> None:
        """Have an enrolled host look for its controller at another address from now on."""
        enrolled = self.enrolled()
        if enrolled.controller != controller_url:
            moved = msgspec.structs.replace(enrolled, controller=controller_url)
            write_durably(self._enrolled, msgspec.json.encode(moved))

    def enrolled(self) -> Enrolled:
        """Raises Invalid when this host was never enrolled."""
        if not self._enrolled.exists():
            raise not_enrolled(self.path)
        return typed.decode(self._enrolled.read_bytes(), Enrolled)

    def is_enrolled(self) -> bool:
        return self._enrolled.exists()

    def authority(self) -> str:
        """PEM of the CA that the controller's certificate has to be signed by."""
        return self.ca.read_text("ascii")

    def save_credential(self, credential: str) -> None:
        """Keep another credential in place of the one before."""
        write_durably(self._credential, credential.encode())

    def credential(self) -> str:
        return self._credential.read_text("utf-8")

    def save_desired(self, desired: Desired) -> None:
        """Remember what the controller ordered before any of it is obeyed."""
        write_durably(self._desired, msgspec.json.encode(desired))

    def desired(self) -> Desired | None:
        """Return what was ordered last; it is obeyed only once the controller confirms it."""
        if not self._desired.exists():
            return None
        return typed.decode(self._desired.read_bytes(), Desired)


def _unusable(path: Path, error: OSError) -> Invalid:
    return Invalid(
        f"state directory {path} cannot be used: {error.strerror}",
        hint="an agent runs as root; elsewhere name a directory of your own: --state-dir DIR",
    )
