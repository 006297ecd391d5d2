from pathlib import Path

import pytest

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.attribute import link_name, names, read_bytes, read_text, write_text

SYMBOLS = Path("/proc/kallsyms")


@pytest.mark.skipif(not SYMBOLS.exists(), reason="this kernel lists no symbols")
def test_a_long_file_of_procfs_is_read_to_its_end() -> None:
    most = 200_000
    with SYMBOLS.open("rb") as file:
        assert read_bytes(str(SYMBOLS), most) == file.read(most)


def test_a_file_is_cut_at_the_most() -> None:
    assert read_bytes("/dev/zero", 70_000) == bytes(70_000)


def test_absence_is_none_and_empty(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "absent", tmp_path / "file/below"):
        assert read_text(str(path)) is None
        assert link_name(str(path)) is None
        assert names(str(path)) == []


def test_refusals_name_the_file(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for ask in (read_text, names):
        with pytest.raises(HostFault, match=r"cannot (read|list) .*/loop: Too many levels"):
            ask(str(loop))
    (tmp_path / "plain").touch()
    with pytest.raises(HostFault, match=r"cannot follow .*/plain: Invalid argument"):
        link_name(str(tmp_path / "plain"))
    with pytest.raises(HostFault, match=r"cannot write '7' to .*/absent: No such file"):
        write_text(str(tmp_path / "absent"), "7\n")
    assert not (tmp_path / "absent").exists()


def test_bytes_that_are_no_text_do_not_stop_a_reader(tmp_path: Path) -> None:
    (tmp_path / "label").write_bytes(b"a\xffb\n")
    assert read_text(str(tmp_path / "label")) == "a\ufffdb"
