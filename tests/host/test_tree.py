from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.planted import CAPTURED_LAB, snapshot
from lanekeeper.domain.errors import Invalid
from lanekeeper.host.capture import capture
from lanekeeper.host.simulated import lab_tree, plant_lab
from lanekeeper.host.tree import HEADER, Entry, Kind, parse, plant

parts = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12)
paths = st.lists(parts.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4)
entries = st.builds(
    Entry,
    path=paths.map("/".join),
    kind=st.sampled_from([Kind.LINE, Kind.BYTES, Kind.LINK, Kind.DIRECTORY, Kind.PRESENT]),
    content=st.binary(max_size=40),
)


@given(st.lists(entries))
def test_what_is_written_can_be_read_back(wanted: list[Entry]) -> None:
    text = "\n".join([HEADER, "", *map(str, wanted), ""])
    for entry, found in zip(wanted, parse(text), strict=True):
        feed = b"\n" if entry.kind is Kind.LINE and found.kind is Kind.BYTES else b""
        assert (entry.path, entry.content + feed) == (found.path, found.content)
        assert found.kind is entry.kind or b"\0" in entry.content


@given(st.lists(entries))
def test_a_tree_is_plain_text_without_blanks_at_line_ends(wanted: list[Entry]) -> None:
    for entry in wanted:
        line = str(entry)
        assert line.isascii()
        assert "\n" not in line
        assert entry.kind is Kind.LINE or not line.endswith(" ")


def test_each_kind_is_planted(tmp_path: Path) -> None:
    plant(
        r"""
# a comment
a/line = two\nlines\x20
a/bytes =| no feed
a/link -> ../b
b /
dev/kvm .
packed : eNpjYGQCAAAHAAQ=
a/refused ! EIO
""",
        tmp_path,
    )
    assert (tmp_path / "a/line").read_text() == "two\nlines \n"
    assert (tmp_path / "a/bytes").read_text() == "no feed"
    assert (tmp_path / "a/link").resolve() == tmp_path / "b"
    assert (tmp_path / "dev/kvm").read_text() == ""
    assert (tmp_path / "packed").read_bytes() == b"\0\x01\x02"
    with pytest.raises(OSError, match="symbolic links"):
        (tmp_path / "a/refused").read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a", "line 2: '' is no sign"),
        ("a ? b", "line 2: '\\?' is no sign"),
        ("../a = b", "does not stay below the root"),
        ("a/../../b = c", "does not stay below the root"),
        ("/etc/passwd = b", "does not stay below the root"),
        (r"a\x00b = c", "does not stay below the root"),
        (r"a = \q", r"is no escape"),
        ("a = ü", "a character outside ASCII"),
        ("a : ???", "the packed content is damaged"),
        ("a : eJxjYGQC", "cut off"),
        ("a = 1\na/b = 2", "cannot plant a/b"),
        ("a -> /etc\na/b = 2", "leads out of the tree through a link"),
        ("a -> b\na = 1\na -> c", "cannot plant a"),
    ],
)
def test_a_bad_tree_is_refused_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        plant(f"{HEADER}\n{line}\n", tmp_path / "t")
    assert not (tmp_path / "etc").exists()


def test_a_packed_bomb_is_refused() -> None:
    bomb = str(Entry("a", Kind.BYTES, bytes(2**20 + 1)))
    with pytest.raises(Invalid, match="more than 1 MiB"):
        list(parse(bomb))


@pytest.mark.parametrize("text", [lab_tree(), CAPTURED_LAB.read_text()])
def test_capturing_what_was_planted_changes_nothing(tmp_path: Path, text: str) -> None:
    first = capture(plant(text, tmp_path / "a"))
    second = capture(plant(first, tmp_path / "b"))
    assert first == second
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_a_capture_keeps_vfs_and_notes_what_could_not_be_read(tmp_path: Path) -> None:
    root = plant_lab(tmp_path / "a")
    refused = root / "sys/devices/pci0000:20/0000:20:00.0/0000:21:00.0/vpd"
    refused.symlink_to("vpd")
    text = capture(root)
    assert "0000:21:00.0/virtfn6 -> ../0000:21:11.4" in text
    assert "0000:21:00.0/vpd ! ELOOP" in text


def test_large_files_are_noted_not_kept(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/interrupts").write_bytes(b"x" * (2**20 + 1))
    assert capture(tmp_path) == f"{HEADER}\nproc/interrupts .\n"
