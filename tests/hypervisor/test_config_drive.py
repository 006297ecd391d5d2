from io import BytesIO

import pycdlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lanekeeper.domain.errors import Invalid
from lanekeeper.hypervisor.config_drive import config_drive

FILES = {
    "openstack/latest/meta_data.json": '{"uuid": "x", "name": "käse"}',
    "openstack/latest/network_data.json": "{}",
    "openstack/2018-08-27/meta_data.json": "{}",
    "ec2/latest/meta-data.json": "",
}


def read(image: bytes, path: str, way: str) -> str:
    drive, content = pycdlib.PyCdlib(), BytesIO()
    drive.open_fp(BytesIO(image))
    drive.get_file_from_iso_fp(content, **{way: f"/{path}"})
    drive.close()
    return content.getvalue().decode()


@pytest.mark.parametrize("way", ["rr_path", "joliet_path"])
def test_every_file_is_found_by_its_long_name(way: str) -> None:
    image = config_drive(FILES)
    assert {path: read(image, path, way) for path in FILES} == FILES


def test_the_label_is_the_one_that_guests_look_for() -> None:
    drive = pycdlib.PyCdlib()
    drive.open_fp(BytesIO(config_drive(FILES)))
    label = drive.pvd.volume_identifier
    drive.close()
    assert label.strip() == b"config-2"


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../b", "", ".", "a//b", "a/"])
def test_a_path_that_leaves_the_drive_is_refused(path: str) -> None:
    with pytest.raises(Invalid, match="not a path below the drive"):
        config_drive({path: "x"})


def test_a_name_cannot_be_a_file_and_a_directory() -> None:
    with pytest.raises(Invalid, match="both a file and a directory"):
        config_drive({"a": "x", "a/b": "y", "a-": "z"})


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9_.-]{0,20}[a-z](/[a-z0-9_.-]{0,40}[a-z]){0,4}", fullmatch=True),
        st.text(max_size=3000),
        max_size=8,
    )
)
def test_any_tree_comes_back(files: dict[str, str]) -> None:
    try:
        image = config_drive(files)
    except Invalid as error:
        assert "both a file and a directory" in str(error)  # noqa: PT017  # some trees are none
        return
    assert {path: read(image, path, "rr_path") for path in files} == files
