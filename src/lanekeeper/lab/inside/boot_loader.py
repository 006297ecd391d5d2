"""The settings of a boot loader in the lab host, as on Debian, and an ``update-grub`` of its own.

GRUB's cannot run here: grub-probe knows no overlay. The outer machine's settings, menus and enabled
units are those of another machine, so a lab host that starts for the first time is without them.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from lanekeeper.lab.boot_menu import ALWAYS, DEFAULT, MENU

SETTINGS = Path("/etc/default/grub")
UPDATE = Path("/usr/sbin/update-grub")
ANOTHERS = (
    "/boot",
    "/efi",
    "/etc/default/grub.d",
    "/etc/grub.d",
    "/etc/kernel",
    "/etc/systemd/system/multi-user.target.wants",
)
SETTINGS_TEXT = f"""\
# Settings of the lab host's boot. After a change: update-grub, then lanekeeper lab reboot outside.
GRUB_DEFAULT=0
GRUB_CMDLINE_LINUX_DEFAULT="{DEFAULT}"
GRUB_CMDLINE_LINUX="{ALWAYS}"
"""
UPDATE_TEXT = f"""\
#!/bin/sh
# The lab's own: makes the menu, which `lanekeeper lab reboot` reads, from settings and drop-ins.
set -e
. {SETTINGS}
for file in {SETTINGS}.d/*.cfg; do
    if [ -e "$file" ]; then . "$file"; fi
done
mkdir -p {Path(MENU).parent}
cat >{MENU}.new <<END
menuentry 'Lab host' {{
	linux /boot/vmlinuz $GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT
}}
END
mv {MENU}.new {MENU}
"""


def furnish() -> None:
    """Take the outer machine's away and put the lab host's there, on its first boot."""
    for folder in ANOTHERS:
        with suppress(FileNotFoundError, NotADirectoryError):
            shutil.rmtree(folder)
    for path, text, mode in ((SETTINGS, SETTINGS_TEXT, 0o644), (UPDATE, UPDATE_TEXT, 0o755)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a link
        path.write_text(text, encoding="ascii")
        path.chmod(mode)
    subprocess.run([str(UPDATE)], check=True)
