"""Erasing the NVMe drive behind one PCI function, and looking whether it is erased.

``nvme`` (nvme-cli) does it, each call with a time limit, over the kernel's nvme driver, which is
given the function for it. Whatever was left half-way is simply done again.
"""

from __future__ import annotations

import mmap
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

from lanekeeper.crash import reached
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.nvme import (
    Controller,
    Erasure,
    Namespace,
    SanitizeAction,
    erasure,
    is_erased,
    listed_ids,
)
from lanekeeper.host.attribute import names, read_text, refusals
from lanekeeper.host.disk import read_mounted

Left = Callable[[], float]
"""How many seconds are left; raises HostFault when none are."""
Run = Callable[[Sequence[str], Mapping[str, str], float], bytes]
Samples = Mapping[int, bytes]

DRIVER = "nvme"
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_QUESTION_S = 30.0  # an answer that an idle controller gives in a moment
_SOON_S = 0.1
_ENTRY_BYTES = 32  # of the list of secondary controllers, and of its head
_BLOCK_DEVICE = re.compile(r"nvme(\d+)(?:c\d+)?n(\d+)")
# SSTAT of the sanitize log; NVM Express Base Specification 2.0, 5.16.1.25
_DONE, _IN_PROGRESS, _FAILED, _DONE_NOT_DEALLOCATED = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class _Part:
    """One namespace as it is before it is erased."""

    id: int
    device: str
    namespace: Namespace
    before: Samples


class NvmeEraser:
    """Erases what one function gives access to."""

    def __init__(
        self,
        run: Run,
        bind: Callable[[PciAddress, str | None], None],
        root: Path = Path("/"),
        *,
        random: Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ask = run
        self._bind = bind
        self._root = root
        self._random = random or SystemRandom()
        self._sleep = sleep

    def erase(self, device: PciDevice, left: Left) -> Iterator[str]:
        """Erase and verify; yields what each step has done.

        A VF's namespaces are its own or it is refused; the whole drive is a PF's, or that of what
        has no VFs.

        Raises:
            HostFault: it cannot be erased, or is not erased after all: what and why.
            Invalid: the drive answers what makes no sense, or cannot erase what it has to.
        """
        if places := read_mounted(self._root).get(device.address):
            raise HostFault(f"the host has {', '.join(places)} on {device.address}")
        if self._is_offline(device, left):
            yield "nvme: its controller is offline, so nobody can have written with it"
            return
        self._bind(device.address, DRIVER)
        name = self._controller(device.address, left)
        path, alone = f"/dev/{name}", device.parent is None
        self._await_sanitized(path, left, started=False)
        controller = Controller.parse(self._raw(left, "id-ctrl", path))
        ids = sorted(listed_ids(self._text(left, "list-ns", path)))
        self._check_others(path, controller, ids, left, alone=alone)
        if not ids:
            yield from self._erase_bare(path, controller, left, alone=alone)
            return
        how = erasure(controller, alone=alone)
        parts = [self._part(name, one, left) for one in ids]
        reached("agent.clean.nvme.before")
        if isinstance(how.action, SanitizeAction):
            self._sanitize(path, how.action, left)
        else:
            for part in parts:
                self._format(path, part.id, how, left)
        yield f"nvme {how}: {', '.join(f'namespace {one.id}' for one in parts)}"
        reached("agent.clean.nvme.erased")
        for part in parts:
            _verify(how, part)
        looked = sum(len(part.before) for part in parts)
        yield f"nvme read back: {looked} blocks hold nothing of what they held"
        reached("agent.clean.nvme.verified")

    def _erase_bare(
        self, path: str, controller: Controller, left: Left, *, alone: bool
    ) -> Iterator[str]:
        """Erase a drive without namespaces; what was in those that a guest deleted is still there.

        There is nothing to read back, so its own word for it has to do.
        """
        if not alone:
            yield f"nvme {path}: a VF without namespaces, so there is nothing to erase"
            return
        if controller.sanitizes:
            how = erasure(controller, alone=alone)
            assert isinstance(how.action, SanitizeAction)
            reached("agent.clean.nvme.before")
            self._sanitize(path, how.action, left)
            yield f"nvme {how}: the whole drive, by its log"
            reached("agent.clean.nvme.erased")
        if controller.manages:
            raise HostFault(
                "it has no namespace any more",
                hint=f"nvme create-ns {path} --nsze=BLOCKS --ncap=BLOCKS --flbas=0, nvme attach-ns "
                f"{path} --namespace-id=1 --controllers={controller.id}, and have it cleaned again",
            )
        if not controller.sanitizes:
            yield f"nvme {path}: no namespace, and none can be deleted: there is nothing to erase"

    def _sanitize(self, path: str, action: SanitizeAction, left: Left) -> None:
        self._run(left, "sanitize", path, f"--sanact={action.value}")
        self._await_sanitized(path, left, started=True)

    def _is_offline(self, device: PciDevice, left: Left) -> bool:
        """Whether the PF says of a VF that its controller was given nothing to work with.

        Source: NVM Express Base Specification 2.0, 5.17.2.15, Secondary Controller List.
        """
        if device.parent is None or device.vf_index is None:
            return False
        primary = names(f"{self._root}/sys/bus/pci/devices/{device.parent}/nvme")
        if not primary:
            return False  # nobody to ask
        data = self._raw(
            left, "list-secondary", f"/dev/{primary[0]}", form="--output-format=binary"
        )
        for at in range(_ENTRY_BYTES, _ENTRY_BYTES * (data[0] + 1), _ENTRY_BYTES):
            if int.from_bytes(data[at + 8 : at + 10], "little") == device.vf_index + 1:
                return not data[at + 4] & 1
        return False

    def _controller(self, address: PciAddress, left: Left) -> str:
        """The name of its controller, once that is ready."""
        home = f"{self._root}/sys/bus/pci/devices/{address}/nvme"
        while True:
            for name in names(home):
                state = read_text(f"{home}/{name}/state")
                if state == "live":
                    return name
                if state in ("dead", "deleting", "deleting (no IO)"):
                    raise HostFault(f"NVMe controller {name} of {address} is {state}")
            left()
            self._sleep(_SOON_S)

    def _check_others(
        self, path: str, controller: Controller, ids: Sequence[int], left: Left, *, alone: bool
    ) -> None:
        """Nothing may be hidden from the erasing, nor belong to anybody else."""
        if alone:
            every = listed_ids(self._text(left, "list-ns", path, "--all"))
            if hidden := sorted(set(every) - set(ids)):
                raise HostFault(
                    f"namespace {', '.join(map(str, hidden))} is attached to another controller, "
                    "or to none, and cannot be erased from here",
                    hint=f"nvme attach-ns {path} --namespace-id=N --controllers={controller.id}, "
                    "or nvme delete-ns",
                )
            return
        for one in ids:
            said = self._text(left, "list-ctrl", path, f"--namespace-id={one}")
            if others := sorted(set(listed_ids(said)) - {controller.id}):
                raise HostFault(
                    f"namespace {one} is shared with controller {', '.join(map(str, others))}",
                    hint="give each VF a namespace of its own",
                )

    def _part(self, name: str, id_: int, left: Left) -> _Part:
        data = self._raw(left, "id-ns", f"/dev/{name}", f"--namespace-id={id_}")
        device = self._block_device(name, id_, left)
        namespace = Namespace.parse(data)
        blocks = namespace.sample(self._random.sample)
        return _Part(id_, device, namespace, _read(device, namespace, blocks))

    def _block_device(self, name: str, id_: int, left: Left) -> str:
        """Where the kernel shows it, which it does a moment after the controller is ready.

        With multipath it is called for the drive, and what is below the controller is a path.
        """
        home = f"{self._root}/sys/class/nvme/{name}"
        while True:
            for entry in names(home):
                found = _BLOCK_DEVICE.fullmatch(entry)
                if found and read_text(f"{home}/{entry}/nsid") == str(id_):
                    return f"{self._root}/dev/nvme{found[1]}n{found[2]}"
            left()
            self._sleep(_SOON_S)

    def _format(self, path: str, id_: int, how: Erasure, left: Left) -> None:
        limit = f"--timeout={int(left() * 1000)}"
        ask = ("format", path, f"--namespace-id={id_}", f"--ses={how.action.value}", limit)
        self._run(left, *ask, "--force")

    def _await_sanitized(self, path: str, left: Left, *, started: bool) -> None:
        """Wait for a Sanitize that goes on; a drive that never had one is not asked twice."""
        while True:
            try:
                log = self._raw(left, "sanitize-log", path, size=512)
            except HostFault:
                if started:
                    raise
                return  # it knows no Sanitize
            status = log[2] & 0b111
            if started and status == _FAILED:
                raise HostFault(f"the Sanitize of {path} failed")
            if started and status not in (_DONE, _IN_PROGRESS, _DONE_NOT_DEALLOCATED):
                raise HostFault(f"after the Sanitize of {path} its log says status {status}")
            if status != _IN_PROGRESS:
                return
            left()
            self._sleep(1.0)

    def _raw(self, left: Left, *words: str, size: int = 4096, form: str = "--raw-binary") -> bytes:
        data = self._run(left, *words, form, limit_s=_QUESTION_S)
        if len(data) < size:
            raise HostFault(f"`nvme {words[0]}` printed {len(data)} bytes, not {size}")
        return data

    def _text(self, left: Left, *words: str) -> str:
        return self._run(left, *words, limit_s=_QUESTION_S).decode("utf-8", "replace")

    def _run(self, left: Left, *words: str, limit_s: float = float("inf")) -> bytes:
        try:
            return self._ask(["nvme", *words], _ENVIRONMENT, min(limit_s, left()))
        except HostFault as error:
            hint = "install nvme-cli" if "could not be started" in str(error) else ""
            raise HostFault(f"nvme {' '.join(words)}: {error}", hint=hint) from error


def _verify(how: Erasure, part: _Part) -> None:
    after = _read(part.device, part.namespace, part.before)
    dirty = [one for one in part.before if not is_erased(how, part.before[one], after[one])]
    if dirty:
        raise HostFault(
            f"after the {how} {len(dirty)} of {len(after)} blocks of namespace {part.id} are not "
            f"erased, the first of them block {dirty[0]}"
        )


def _read(path: str, namespace: Namespace, blocks: Sequence[int] | Samples) -> Samples:
    """Read blocks from the drive itself, past what the kernel remembers."""
    size = namespace.block_bytes
    with refusals(f"read {path}"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
        try:
            with mmap.mmap(-1, max(size, mmap.PAGESIZE)) as buffer:  # O_DIRECT wants it aligned
                view = memoryview(buffer)[:size]
                found = {}
                for block in blocks:
                    if os.preadv(descriptor, [view], block * size) != size:
                        raise HostFault(f"{path} ends before block {block}")
                    found[block] = bytes(view)
                view.release()
                return found
        finally:
            os.close(descriptor)
