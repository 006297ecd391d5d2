"""Files that bring a policy back after a reboot."""

from __future__ import annotations

POLICY_FILE = "etc/lanekeeper/host-policy.yaml"
UNIT_FILE = "etc/systemd/system/lanekeeper-host.service"
UNIT_LINK = "etc/systemd/system/multi-user.target.wants/lanekeeper-host.service"
UNIT_LINK_TARGET = "../lanekeeper-host.service"
GRUB_FILE = "etc/default/grub.d/90-lanekeeper.cfg"

MODPROBE_FILE = "etc/modprobe.d/lanekeeper.conf"
DRACUT_FILE = "etc/dracut.conf.d/lanekeeper.conf"
ENTRY_SCRIPT = "etc/grub.d/11_lanekeeper"  # behind 10_linux, whose entries it makes once more
ENTRY_ID = "lanekeeper"

MODULES_LOAD_FILE = "etc/modules-load.d/lanekeeper.conf"
UDEV_FILE = "etc/udev/rules.d/60-lanekeeper.rules"  # before 80-drivers.rules, which loads drivers

CHANGES = "var/lib/lanekeeper-host/changes"
ORIGINALS = "var/lib/lanekeeper-host/originals"
"""Where journals are kept, and files from before the first change."""

WRITTEN = (
    *(POLICY_FILE, UNIT_FILE, GRUB_FILE, ENTRY_SCRIPT),
    *(MODPROBE_FILE, DRACUT_FILE, MODULES_LOAD_FILE, UDEV_FILE),
)
"""Files whose text a plan may set; ``UNIT_LINK`` is the one link."""

OWN = frozenset((GRUB_FILE, MODPROBE_FILE, DRACUT_FILE, MODULES_LOAD_FILE, UDEV_FILE))
"""Those in directories of everybody's: one without ``SIGN`` is the operator's own."""

SIGN = "Written by `lanekeeper host apply`"

_UNIT = """\
# Written by `lanekeeper host apply`; `lanekeeper host rollback` removes it.
[Unit]
Description=Virtual functions as /{policy} says
After=systemd-modules-load.service systemd-udevd.service network-pre.target
Before=libvirtd.service virtqemud.service openvswitch-switch.service lanekeeper-agent.service

[Service]
Type=oneshot
RemainAfterExit=yes
# Nobody is there to confirm anything at boot; what was not confirmed before it goes back first.
# An entry that is refused by then, as that of a replaced card, keeps none of the others back.
ExecStart={program} host apply --policy /{policy} --confirm-within 0 --leave-refused

[Install]
WantedBy=multi-user.target
"""

HEAD = "# Written by `lanekeeper host apply`; `lanekeeper host rollback` removes it.\n"
NOTE = "# Written by `lanekeeper host apply`; `lanekeeper host rollback` takes it back.\n"

DRACUT_LINE = f'install_optional_items+=" /{MODPROBE_FILE} "\n'

_GRUB = """\
# Recovery entries of the boot menu do without these arguments.
GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {arguments}"
"""

_SAVED_BEFORE = "# saved_entry before: "
_ENTRY_SCRIPT = """\
#!/bin/sh
# Written by `lanekeeper host apply`; `lanekeeper host rollback` removes it.
# The entries of 10_linux once more with these arguments; the first of them is called {id}.
{before}[ -x /etc/grub.d/10_linux ] || exit 0
GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {arguments}"
GRUB_DISABLE_RECOVERY=true
export GRUB_CMDLINE_LINUX_DEFAULT GRUB_DISABLE_RECOVERY
/etc/grub.d/10_linux | sed \\
    -e "s/^\\([[:space:]]*\\(menuentry\\|submenu\\) '[^']*\\)'/\\1 - SR-IOV'/" \\
    -e "s/\\(menuentry_id_option '[^']*\\)'/\\1-{id}'/" \\
    -e "0,/menuentry_id_option '/s/\\(menuentry_id_option '\\)[^']*'/\\1{id}'/"
"""


def unit_text(program: str) -> str:
    """Return the unit that applies the kept policy at boot, before guests and switches start."""
    return _UNIT.format(policy=POLICY_FILE, program=program)


def grub_lines(arguments: tuple[str, ...], *, saved: bool = False) -> str:
    """Return settings that add *arguments* behind all others, and boot what was saved if asked."""
    lines = _GRUB.format(arguments=" ".join(arguments)) if arguments else ""
    return lines + ("GRUB_DEFAULT=saved\n" if saved else "")


def entry_script(arguments: tuple[str, ...], saved_before: str = "") -> str:
    """Return the script that adds entries with *arguments* to GRUB's menu.

    It notes which entry was saved before, for the day on which the policy wants none of it.
    """
    before = f"{_SAVED_BEFORE}{saved_before}\n" if saved_before else ""
    return _ENTRY_SCRIPT.format(arguments=" ".join(arguments), id=ENTRY_ID, before=before)


def saved_before(script: str) -> str:
    """Return the entry that *script* notes; empty for none."""
    lines = (line for line in script.splitlines() if line.startswith(_SAVED_BEFORE))
    return next(lines, "").removeprefix(_SAVED_BEFORE)


def directories_of(path: str) -> tuple[str, ...]:
    """Return the directories above *path*, from the top."""
    parts = path.split("/")[:-1]
    return tuple("/".join(parts[:length]) for length in range(1, len(parts) + 1))


def every_directory() -> tuple[str, ...]:
    """Return all that a plan may make or a change needs, each before those in it."""
    inner = (f"{CHANGES}/", f"{ORIGINALS}/", *WRITTEN, UNIT_LINK)
    return tuple(dict.fromkeys(path for name in inner for path in directories_of(name)))
