"""Files that bring a policy back after a reboot."""

from __future__ import annotations

POLICY_FILE = "etc/lanekeeper/host-policy.yaml"
UNIT_FILE = "etc/systemd/system/lanekeeper-host.service"
UNIT_LINK = "etc/systemd/system/multi-user.target.wants/lanekeeper-host.service"
UNIT_LINK_TARGET = "../lanekeeper-host.service"
GRUB_FILE = "etc/default/grub.d/90-lanekeeper.cfg"

MODPROBE_FILE = "etc/modprobe.d/lanekeeper.conf"

WRITTEN = (POLICY_FILE, UNIT_FILE, GRUB_FILE, MODPROBE_FILE)
"""Files whose text a plan may set; ``UNIT_LINK`` is the one link."""

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
ExecStart={program} host apply --policy /{policy} --confirm-within 0

[Install]
WantedBy=multi-user.target
"""

_GRUB = """\
# Written by `lanekeeper host apply`; `lanekeeper host rollback` removes it.
# Recovery entries of the boot menu do without these arguments.
GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {arguments}"
"""


def unit_text(program: str) -> str:
    """Return the unit that applies the kept policy at boot, before guests and switches start."""
    return _UNIT.format(policy=POLICY_FILE, program=program)


def grub_text(arguments: tuple[str, ...]) -> str:
    """Return the drop-in that adds *arguments* behind all others."""
    return _GRUB.format(arguments=" ".join(arguments))


def directories_of(path: str) -> tuple[str, ...]:
    """Return the directories above *path*, from the top."""
    parts = path.split("/")[:-1]
    return tuple("/".join(parts[:length]) for length in range(1, len(parts) + 1))
