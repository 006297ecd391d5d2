"""What a plan can change on a host. Each action can be done twice: done already is done.

They are Structs because a journal keeps them as JSON between a kill and a resume. Addresses are
in the kernel's spelling; paths are relative to the root.
"""

from __future__ import annotations

import msgspec


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
    """Give a file this text, whole, readable by all."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"write /{self.path}"


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

    def __str__(self) -> str:
        return "run update-grub"


Change = (
    LoadModule
    | SetAutoprobe
    | SetVfCount
    | SetLink
    | BindVf
    | MakeDirectory
    | RemoveDirectory
    | WriteFile
    | RemoveFile
    | MakeLink
    | UpdateBootLoader
)
"""Any action, as a journal reads it back."""
