"""One connection to libvirt, opened anew when it broke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

import libvirt

from lanekeeper.domain.errors import HostFault, Unavailable


class Connection:
    """Thread-safe, as libvirt's own connections are."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._lock = Lock()
        self._open: Any = None
        libvirt.registerErrorHandler(_be_silent, None)

    def get(self) -> Any:
        """Return the open connection. Raises Unavailable when libvirt does not answer."""
        with self._lock:
            if self._open is None or not self._is_alive():
                self._drop()
                try:
                    self._open = libvirt.open(self._uri)
                except libvirt.libvirtError as error:
                    raise Unavailable(
                        f"libvirt does not answer at {self._uri}: {_said(error)}",
                        hint="is libvirtd running?",
                    ) from error
            return self._open

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _is_alive(self) -> bool:
        try:
            return bool(self._open.isAlive())
        except libvirt.libvirtError:
            return False

    def _drop(self) -> None:
        if self._open is not None:
            with suppress(libvirt.libvirtError):
                self._open.close()
            self._open = None

    @contextmanager
    def asked_to(self, action: str) -> Iterator[Any]:
        """Give the connection for *action*; its refusal becomes an error that names the action.

        Raises:
            Unavailable: the connection broke meanwhile.
            HostFault: libvirt refused.
        """
        connection = self.get()
        try:
            yield connection
        except libvirt.libvirtError as error:
            with self._lock:
                is_alive = self._open is connection and self._is_alive()
            kind = HostFault if is_alive else Unavailable
            raise kind(f"libvirt cannot {action}: {_said(error)}") from error


def error_code(error: Exception) -> int | None:
    """Return libvirt's number for an error of its own."""
    code: int | None = error.get_error_code() if isinstance(error, libvirt.libvirtError) else None
    return code


def _said(error: Exception) -> str:
    return str(error).removeprefix("internal error: ").rstrip(".")


def _be_silent(_context: object, _error: object) -> None:
    """libvirt-python prints every error to stderr unless somebody takes it."""
