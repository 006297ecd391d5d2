"""The lab host's end, after which the outer machine starts it again.

Source: Linux ``include/uapi/linux/reboot.h``.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from threading import Thread
from typing import Any

from lanekeeper.domain.errors import HostFault
from lanekeeper.lab import boot_menu

ANSWER_S = 0.3  # for the answer to leave a machine that ends
RB_AUTOBOOT = 0x0123_4567

_libc = ctypes.CDLL(None, use_errno=True)


def reboot(_request: dict[str, Any]) -> dict[str, Any]:
    """End this machine once the answer is on its way. Raises Invalid: it could not come back."""
    menu = Path(boot_menu.MENU)
    boot_menu.kernel_arguments(menu.read_text("utf-8", "replace") if menu.is_file() else "")
    os.sync()
    Thread(target=_restart, daemon=True).start()
    return {}


def _restart() -> None:
    time.sleep(ANSWER_S)
    os.sync()  # what an answer made somebody write
    if _libc.reboot(RB_AUTOBOOT) != 0:
        raise HostFault(f"cannot restart: {os.strerror(ctypes.get_errno())}")
