"""What a plan can change on a host. Each action can be done twice: done already is done.

They are Structs because a journal keeps them as JSON between a kill and a resume. Addresses are
in the kernel's spelling; paths are relative to the root.
"""

from __future__ import annotations

import shlex

import msgspec

from lanekeeper.domain.pci.vf_settings import LinkState


class Action(msgspec.Struct, frozen=True, tag=True):
    """One change; ``str()`` says it in words."""


class LoadModule(Action, frozen=True):
    """Load a kernel module by name."""

    name: str

    def __str__(self) -> str:
        return f"load module {self.name}"


class SetAutoprobe(Action, frozen=True):
    """Say whether drivers may take VFs of *pf* as they appear."""

    pf: str
    enabled: bool

    def __str__(self) -> str:
        whether = "let drivers take" if self.enabled else "keep drivers from"
        return f"{whether} new VFs of {self.pf}"


class SetVfCount(Action, frozen=True):
    """Make *pf* have *count* VFs, from none or to none."""

    pf: str
    count: int

    def __str__(self) -> str:
        return f"create {self.count} VFs on {self.pf}" if self.count else f"remove VFs of {self.pf}"


class SetLink(Action, frozen=True):
    """Set the interface of *pf* up or down."""

    pf: str
    up: bool

    def __str__(self) -> str:
        return f"set the interface of {self.pf} {'up' if self.up else 'down'}"


class BindVf(Action, frozen=True):
    """Give VF *index* of *pf* to *driver*, or to none. A VF that is gone needs nothing."""

    pf: str
    index: int
    driver: str | None

    def __str__(self) -> str:
        whom = f"to {self.driver}" if self.driver else "to no driver"
        return f"give VF {self.index} of {self.pf} {whom}"


class RestartVfDriver(Action, frozen=True):
    """Have the host's driver of VF *index* of *pf*, if it has one, begin anew.

    Many ask the PF for the VF's MAC then, and never again.
    """

    pf: str
    index: int

    def __str__(self) -> str:
        return f"have the driver of VF {self.index} of {self.pf} begin anew"


class BindDevice(Action, frozen=True):
    """Give the function at *address* to *driver*, or to none."""

    address: str
    driver: str | None

    def __str__(self) -> str:
        return f"give {self.address} to {self.driver or 'no driver'}"


class WriteVfSettings(Action, frozen=True):
    """Write what the PF holds for VF *index*; None leaves a setting.

    ``mac`` of all zero takes the administrative address away. ``vlan`` 0 is none. ``rates`` are
    the least and the most that it may send, in Mbit/s; 0 is no guarantee, no limit.
    """

    pf: str
    index: int
    mac: str | None = None
    trust: bool | None = None
    spoofchk: bool | None = None
    vlan: int | None = None
    qos: int = 0
    link_state: LinkState | None = None
    rates: tuple[int, int] | None = None

    def __str__(self) -> str:
        flags = {"trust": self.trust, "spoofchk": self.spoofchk}
        words = [f"{name} {'on' if on else 'off'}" for name, on in flags.items() if on is not None]
        if self.mac is not None:
            words.insert(0, f"MAC {self.mac}" if self.mac.strip("0:") else "no MAC of its own")
        if self.vlan is not None:
            words.append(f"VLAN {self.vlan}")
        if self.link_state is not None:
            words.append(f"link state {self.link_state.name.lower()}")
        if self.rates is not None:
            words.append(f"rates {self.rates[0]} to {self.rates[1]} Mbit/s")
        return f"give VF {self.index} of {self.pf} {', '.join(words)}"


class SetEswitchMode(Action, frozen=True):
    """Make the eswitch of *pf* a plain VEB (``legacy``) or a switch (``switchdev``)."""

    pf: str
    mode: str

    def __str__(self) -> str:
        return f"set the eswitch of {self.pf} to {self.mode}"


class SetMigratable(Action, frozen=True):
    """Say whether VF *index* of *pf* can travel with a running guest. It must have no driver."""

    pf: str
    index: int
    enabled: bool

    def __str__(self) -> str:
        return f"make VF {self.index} of {self.pf} {'' if self.enabled else 'not '}migratable"


class SetFirmware(Action, frozen=True):
    """Write a setting into the card's own memory; the card reads it when it starts."""

    pf: str
    name: str
    value: str

    def __str__(self) -> str:
        return f"set {self.name}={self.value} in the firmware of {self.pf}"


class SetHugePages(Action, frozen=True):
    """Keep this many huge pages on a NUMA node."""

    node: int
    size_kib: int
    pages: int

    def __str__(self) -> str:
        return f"keep {self.pages} huge pages of {self.size_kib} KiB on node {self.node}"


class SetSwitch(Action, frozen=True):
    """Set, or with None remove, a key of ``other_config`` of Open vSwitch."""

    key: str
    value: str | None

    def __str__(self) -> str:
        if self.value is None:
            return f"remove {self.key} from Open vSwitch"
        return f"set {self.key}={self.value} in Open vSwitch"


class AddBridge(Action, frozen=True):
    """Make a bridge of Open vSwitch."""

    name: str

    def __str__(self) -> str:
        return f"make bridge {self.name} in Open vSwitch"


class RemoveBridge(Action, frozen=True):
    """Remove a bridge of Open vSwitch."""

    name: str

    def __str__(self) -> str:
        return f"remove bridge {self.name} from Open vSwitch"


class AddPort(Action, frozen=True):
    """Make the interface of *pf*, or the representor of its VF *index*, a port of *bridge*.

    A representor that is not there yet may be remembered on another bridge; it leaves that.
    """

    bridge: str
    pf: str
    index: int | None = None

    def __str__(self) -> str:
        return f"add {_port(self.pf, self.index)} to bridge {self.bridge}"


class RemovePort(Action, frozen=True):
    """Take that port away from *bridge*. One that is gone needs nothing."""

    bridge: str
    pf: str
    index: int | None = None

    def __str__(self) -> str:
        return f"take {_port(self.pf, self.index)} from bridge {self.bridge}"


class MovePort(Action, frozen=True):
    """Take the interface *port* from bridge *source* and make it a port of *target*, at once.

    It is that of *pf*, or the representor of its VF *index*. Its name tells the switch which it
    is even when the VF is gone.
    """

    source: str
    target: str
    port: str
    pf: str
    index: int | None = None

    def __str__(self) -> str:
        way = f"from bridge {self.source} to bridge {self.target}"
        return f"move {_port(self.pf, self.index)} {way}"


def _port(pf: str, index: int | None) -> str:
    return f"the interface of {pf}" if index is None else f"the representor of VF {index} of {pf}"


class MakeDirectory(Action, frozen=True):
    """Make one directory; its parent is there."""

    path: str

    def __str__(self) -> str:
        return f"make directory /{self.path}"


class RemoveDirectory(Action, frozen=True):
    """Remove a directory, unless somebody put something into it."""

    path: str

    def __str__(self) -> str:
        return f"remove directory /{self.path} if it is empty"


class WriteFile(Action, frozen=True):
    """Give a file this text, whole. A new one gets *mode*; one that is there keeps what it has."""

    path: str
    text: str
    mode: int = 0o644

    def __str__(self) -> str:
        return f"write /{self.path}"


class TakeEdit(WriteFile, frozen=True):
    """Count the *text* that somebody gave a file as written by this change; nothing is written."""

    def __str__(self) -> str:
        return f"take the edit of /{self.path} into the change"


class RemoveFile(Action, frozen=True):
    """Remove a file or a link."""

    path: str

    def __str__(self) -> str:
        return f"remove /{self.path}"


class MakeLink(Action, frozen=True):
    """Make a symbolic link."""

    path: str
    target: str

    def __str__(self) -> str:
        return f"link /{self.path} to {self.target}"


class UpdateBootLoader(Action, frozen=True):
    """Have the boot loader read its settings again; it keeps its own old menu until then."""

    command: tuple[str, ...] = ("update-grub",)

    def __str__(self) -> str:
        return f"run {shlex.join(self.command)}"


class ReplaceText(Action, frozen=True):
    """Put *new* in place of *old*, whole lines of somebody else's file, and leave all others.

    No *old* puts *new* at the end; no *new* takes *old* out.
    """

    path: str
    old: str
    new: str

    def __str__(self) -> str:
        if not self.new:
            return f"take lines out of /{self.path}"
        return f"{'change' if self.old else 'add'} lines in /{self.path}"


class Respell(Action, frozen=True):
    """Give a file this exact text, if it says the same words; else it is left alone.

    The words *aside* it may say more or less often; they may stand in quotes with others.
    """

    path: str
    text: str
    aside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"spell /{self.path} as it was"


class RunProgram(Action, frozen=True):
    """Run a program of the distribution; *changes* are the files that it may write to."""

    command: tuple[str, ...]
    changes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"run {shlex.join(self.command)}"


class ClearEntries(Action, frozen=True):
    """Take *put* out of the entries of kernels that were installed since, and give what was *had*.

    A value that somebody set since stays, and is told.

    Attributes:
        path: the file of arguments that such entries are made from.
        put: what that said of some keys when the change was done, *had* what it said before.
        spared: entries that there were: those that were changed have undos of their own.
    """

    path: str
    put: tuple[str, ...]
    had: tuple[str, ...]
    spared: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"take {' '.join(self.put)} out of the boot entries of kernels installed since"


class GiveBackArguments(Action, frozen=True):
    """Have grubby take *put* out of the boot entries, and give each what it *had* instead.

    A value that somebody set since stays, and is told.

    Attributes:
        put: what was added to all of them.
        had: what each entry file, or file of arguments, said of the same keys before.
        texts: the files that grubby may have changed, as they were before.
    """

    put: tuple[str, ...]
    had: tuple[tuple[str, tuple[str, ...]], ...]
    texts: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        back = "" if not any(words for _, words in self.had) else ", where it was not before"
        return f"take {' '.join(self.put)} out of the boot entries with grubby{back}"


class SaveEntry(Action, frozen=True):
    """Have GRUB boot *entry* by default, the first where it is empty, unless another was chosen.

    That is so where it keeps another one than *instead_of* by now. *tool* is ``grub`` or ``grub2``.
    """

    tool: str
    entry: str
    instead_of: str

    @property
    def command(self) -> tuple[str, ...]:
        if self.entry:
            return (f"{self.tool}-set-default", self.entry)
        return (f"{self.tool}-editenv", "-", "unset", "saved_entry")

    def __str__(self) -> str:
        chosen = f"{self.instead_of} is" if self.instead_of else "no other is"
        return f"run {shlex.join(self.command)}, if {chosen} the default still"


Change = (
    LoadModule
    | SetAutoprobe
    | SetVfCount
    | SetLink
    | BindVf
    | RestartVfDriver
    | BindDevice
    | WriteVfSettings
    | SetEswitchMode
    | SetMigratable
    | SetFirmware
    | SetHugePages
    | SetSwitch
    | AddBridge
    | RemoveBridge
    | AddPort
    | RemovePort
    | MovePort
    | MakeDirectory
    | RemoveDirectory
    | WriteFile
    | TakeEdit
    | RemoveFile
    | MakeLink
    | UpdateBootLoader
    | ReplaceText
    | Respell
    | RunProgram
    | GiveBackArguments
    | ClearEntries
    | SaveEntry
)
"""Any action, as a journal reads it back."""

Passing = (
    LoadModule
    | SetAutoprobe
    | SetVfCount
    | SetLink
    | BindVf
    | RestartVfDriver
    | BindDevice
    | WriteVfSettings
    | SetEswitchMode
    | SetMigratable
    | SetHugePages
)
"""Those that only the running kernel knows: a reboot undoes them."""

FileChange = (
    MakeDirectory
    | RemoveDirectory
    | WriteFile
    | RemoveFile
    | MakeLink
    | ReplaceText
    | Respell
    | ClearEntries
)
"""Those that need no kernel and no program: an image can be changed by them."""
