"""A module as the kernel's build makes it, and what is left of it."""

from __future__ import annotations

import struct

import pytest

from lanekeeper.lab.traceable import untraceable

NOP, RETURN = b"\x0f\x1f\x44\0\0", b"\xc3"
CALL = b"\xe8\0\0\0\0"
NAMES = b"\0__fentry__\0printk\0"
SECTION_NAMES = b"\0.text\0.rela__mcount_loc\0.symtab\0.strtab\0"
SIGNATURE = b"12345" + bytes(8) + struct.pack(">I", 5) + b"~Module signature appended~\n"
CALL_TYPE, NONE = 4, 0  # R_X86_64_PLT32, R_X86_64_NONE


def module(text: bytes, relocations: list[tuple[int, int, int]]) -> bytes:
    """Make an ELF file of sections 1 .text, 2 its relocations, 3 symbols, 4 and 5 names."""
    symbols = b"".join(struct.pack("<IBBHQQ", name, 0, 0, 0, 0, 0) for name in (0, 1, 12))
    rows = b"".join(struct.pack("<QIIq", *row, -4) for row in relocations)
    parts = [(1, text, 0, 0), (4, rows, 3, 1), (2, symbols, 4, 0), (3, NAMES, 0, 0)]
    parts.append((3, SECTION_NAMES, 0, 0))
    body, table = b"", bytes(64)
    for kind, content, link, info in parts:
        at = 64 + len(body)
        table += struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, at, len(content), link, info, 1, 0)
        body += content
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 1, 62, 1, 0, 0,
                       64 + len(body), 0, 64, 0, 0, 64, len(parts) + 1, 5)  # fmt: skip
    return head + body + table


@pytest.mark.parametrize("signature", [b"", SIGNATURE])
def test_calls_that_are_there_to_be_traced_become_nops_and_others_stay(signature: bytes) -> None:
    made = untraceable(
        module(CALL + CALL + RETURN, [(1, CALL_TYPE, 1), (6, CALL_TYPE, 2)]) + signature
    )
    want = module(NOP + CALL + RETURN, [(1, NONE, 1), (6, CALL_TYPE, 2)])
    assert made == want.replace(b"__mcount_loc\0", b"__mcount_not\0")


def test_a_module_that_does_something_else_with_it_is_left_to_the_kernel() -> None:
    whole = module(CALL + b"\x90" * 5 + RETURN, [(1, CALL_TYPE, 1), (6, CALL_TYPE, 1)])
    assert untraceable(whole) == whole


@pytest.mark.parametrize("content", [b"", b"no module", b"\x7fELF\x01 __mcount_loc\0"])
def test_what_is_no_such_module_comes_back(content: bytes) -> None:
    assert untraceable(content) == content
