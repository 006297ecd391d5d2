"""A kernel module that nothing will trace: what costs an emulated processor its loading, taken out.

Each function of a packaged module begins with a call that the kernel makes a NOP when it loads the
module, so that the function could be traced later; before, it looks for each in the module's whole
symbol table. Here the calls are NOPs already, and the list of them has a name that the kernel does
not look for. The signature, which would not fit any more, goes.

Source: Linux ``kernel/trace/ftrace.c`` (test_for_valid_rec), ``arch/x86/kernel/ftrace.c``,
``kernel/module/main.c`` (find_module_sections), ``include/linux/module_signature.h``; elf(5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SIGNED = b"~Module signature appended~\n"
SIGNATURE_INFO, SIGNATURE_SIZE = 12, 4  # struct module_signature, its last field: the bytes before
TRACED, UNTRACED = b"__mcount_loc\0", b"__mcount_not\0"
CALL, NOP = b"\xe8\0\0\0\0", b"\x0f\x1f\x44\0\0"
FENTRY = b"__fentry__\0"
_ELF64_LE = b"\x7fELF\x02\x01"
_SYMBOLS, _RELOCATIONS = 2, 4  # SHT_SYMTAB, SHT_RELA
_NONE = 0  # R_X86_64_NONE
_RELOCATION = struct.Struct("<QIIq")  # offset, type, symbol, addend


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    offset: int
    size: int
    link: int
    info: int


def untraceable(module: bytes) -> bytes:
    """Return an unpacked module without signature and without what could be traced."""
    if module.endswith(SIGNED):
        end = len(module) - len(SIGNED)
        size = int.from_bytes(module[end - SIGNATURE_SIZE : end], "big")
        module = module[: end - SIGNATURE_INFO - size]
    if not module.startswith(_ELF64_LE) or TRACED not in module:
        return module
    made = bytearray(module)
    sections = list(_sections(module))
    kept = 0
    for section in sections:
        if section.kind == _RELOCATIONS:
            kept += _take_calls(made, sections, section)
    return module if kept else bytes(made).replace(TRACED, UNTRACED)


def _sections(module: bytes) -> Iterator[_Section]:
    (table,) = struct.unpack_from("<Q", module, 40)  # e_shoff
    size, count = struct.unpack_from("<HH", module, 58)  # e_shentsize, e_shnum
    for index in range(count):
        _, kind, _, _, offset, length, link, info = struct.unpack_from(
            "<IIQQQQII", module, table + index * size
        )
        yield _Section(kind, offset, length, link, info)


def _take_calls(made: bytearray, sections: list[_Section], relocations: _Section) -> int:
    """Make the calls that *relocations* lead to ``__fentry__`` NOPs; how many are no such calls."""
    fentry = _symbol(made, sections, sections[relocations.link])
    target, kept = sections[relocations.info], 0
    for at in range(relocations.offset, relocations.offset + relocations.size, _RELOCATION.size):
        offset, _, symbol, addend = _RELOCATION.unpack_from(made, at)
        if symbol != fentry:
            continue
        place = target.offset + offset - 1
        if made[place : place + len(CALL)] != CALL:
            kept += 1
            continue
        made[place : place + len(NOP)] = NOP
        _RELOCATION.pack_into(made, at, offset, _NONE, symbol, addend)
    return kept


def _symbol(made: bytearray, sections: list[_Section], table: _Section) -> int | None:
    names = sections[table.link]
    for index in range(table.size // 24 if table.kind == _SYMBOLS else 0):
        (name,) = struct.unpack_from("<I", made, table.offset + index * 24)
        if made.startswith(FENTRY, names.offset + name):
            return index
    return None
