"""Whether the machine's own /dev/kvm can carry a lab host.

It can when a vCPU really runs and guests may have virtualisation themselves. Cloud machines often
have a /dev/kvm that does only the first or neither; then QEMU's emulation (TCG) does both.

The same probe runs inside the lab host: there it tells whether nested guests will run.

Source: Linux ``Documentation/virt/kvm/api.rst``, ``include/uapi/linux/kvm.h``.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from lanekeeper.domain.errors import Invalid

ENVIRONMENT = "LANEKEEPER_LAB_ACCEL"
PROBE_TIMEOUT_S = 10
KVM_CREATE_VM, KVM_GET_VCPU_MMAP_SIZE, KVM_CREATE_VCPU = 0xAE01, 0xAE04, 0xAE41
KVM_SET_USER_MEMORY_REGION, KVM_RUN = 0x4020AE46, 0xAE80
KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS = 0x4090AE82, 0x8138AE83, 0x4138AE84
KVM_GET_SUPPORTED_CPUID = 0xC008AE05
KVM_EXIT_HLT = 5
HLT = b"\xf4"
PAGE = 4096
CPUID_ENTRIES = 256
CPUID_ENTRY = struct.Struct("<7I12x")  # function, index, flags, eax, ebx, ecx, edx
FEATURES, VMX = 1, 1 << 5  # ecx of leaf 1
EXTENDED_FEATURES, SVM = 0x8000_0001, 1 << 2  # ecx of leaf 0x80000001


class Acceleration(StrEnum):
    """QEMU's two ways to run a lab host."""

    KVM = "kvm"
    TCG = "tcg"


def choose(environment: Mapping[str, str], device: Path = Path("/dev/kvm")) -> Acceleration:
    """Take what ``LANEKEEPER_LAB_ACCEL`` says, else KVM where it works with guests inside guests.

    Raises:
        Invalid: the variable names neither tcg nor kvm.
    """
    wanted = environment.get(ENVIRONMENT, "")
    if wanted:
        try:
            return Acceleration(wanted)
        except ValueError as error:
            raise Invalid(f"{ENVIRONMENT} is tcg or kvm, not {wanted!r}") from error
    return Acceleration.KVM if usable(device) else Acceleration.TCG


def usable(device: Path = Path("/dev/kvm")) -> bool:
    """Say whether *device* runs a vCPU and offers it virtualisation of its own.

    The probe is a process of its own: a broken /dev/kvm can hang whoever runs a vCPU.
    """
    if not device.exists():
        return False
    probe = [sys.executable, "-m", "lanekeeper.lab.acceleration", str(device)]
    try:
        done = subprocess.run(probe, capture_output=True, timeout=PROBE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def runs_vcpu(kvm: int) -> bool:
    """Run one instruction, HLT, in real mode on a new vCPU. Raises OSError."""
    with mmap.mmap(-1, PAGE) as memory:
        memory[: len(HLT)] = HLT
        view = ctypes.c_char.from_buffer(memory)
        region = struct.pack("<IIQQQ", 0, 0, PAGE, PAGE, ctypes.addressof(view))
        machine = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
        try:
            fcntl.ioctl(machine, KVM_SET_USER_MEMORY_REGION, region)
            return _run_at(kvm, machine, PAGE) == KVM_EXIT_HLT
        finally:
            os.close(machine)
            del view


def _run_at(kvm: int, machine: int, address: int) -> int:
    vcpu = fcntl.ioctl(machine, KVM_CREATE_VCPU, 0)
    try:
        special = bytearray(312)  # struct kvm_sregs; its first segment is CS: base, limit, selector
        fcntl.ioctl(vcpu, KVM_GET_SREGS, special)
        special[0:8], special[12:14] = bytes(8), bytes(2)
        fcntl.ioctl(vcpu, KVM_SET_SREGS, bytes(special))
        registers = bytes(128) + struct.pack("<QQ", address, 2)  # rip; rflags' fixed bit
        fcntl.ioctl(vcpu, KVM_SET_REGS, registers)
        with mmap.mmap(vcpu, fcntl.ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE)) as state:
            fcntl.ioctl(vcpu, KVM_RUN, 0)
            return int.from_bytes(state[8:12], "little")  # struct kvm_run, exit_reason
    finally:
        os.close(vcpu)


def offers_nesting(kvm: int) -> bool:
    """Say whether a vCPU may have VMX or SVM. Raises OSError."""
    size = CPUID_ENTRY.size
    buffer = bytearray(struct.pack("<II", CPUID_ENTRIES, 0) + bytes(CPUID_ENTRIES * size))
    fcntl.ioctl(kvm, KVM_GET_SUPPORTED_CPUID, buffer)
    for number in range(int.from_bytes(buffer[:4], "little")):
        leaf, _, _, _, _, ecx, _ = CPUID_ENTRY.unpack_from(buffer, 8 + number * size)
        if (leaf == FEATURES and ecx & VMX) or (leaf == EXTENDED_FEATURES and ecx & SVM):
            return True
    return False


def probe(device: Path) -> tuple[bool, bool]:
    """Say whether *device* runs a vCPU, and whether that may nest; (False, False) if unusable."""
    try:
        kvm = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False, False
    try:
        return runs_vcpu(kvm), offers_nesting(kvm)
    except OSError:
        return False, False
    finally:
        os.close(kvm)


if __name__ == "__main__":
    sys.exit(0 if all(probe(Path(sys.argv[1]))) else 1)
