"""Links of an image lead within the image, whatever stands at their target outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.host.inside import inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    (root / "opt/kept").mkdir(parents=True)
    (root / "opt/kept/file").write_text("x")
    (root / "etc/absolute").symlink_to("/opt/kept")
    (root / "etc/upward").symlink_to("../../../../../opt/kept")
    (root / "etc/relative").symlink_to("../opt/kept")
    (root / "etc/twice").symlink_to("absolute")
    (root / "etc/circle").symlink_to("circle")
    (root / "etc/nowhere").symlink_to("/not/there")
    return root


@pytest.mark.parametrize("link", ["absolute", "upward", "relative", "twice"])
def test_a_link_among_the_directories_leads_within(root: Path, link: str) -> None:
    assert inside(root, f"etc/{link}/file") == root / "opt/kept/file"
    assert inside(root, f"etc/{link}") == root / "etc" / link
    assert inside(root, f"etc/{link}", follow=True) == root / "opt/kept"


def test_what_is_not_there_yet_has_its_place(root: Path) -> None:
    assert inside(root, "etc/nowhere/new/file") == root / "not/there/new/file"
    assert inside(root, "etc/../../../new") == root / "new"


def test_a_circle_is_told(root: Path) -> None:
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        inside(root, "etc/circle/file")


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.lists(st.sampled_from(["/", "..", "a", "b", "c"]), min_size=1, max_size=4),
        ),
        max_size=4,
    ),
    st.lists(st.sampled_from(["..", "a", "b", "c"]), min_size=1, max_size=5),
)
def test_nothing_leads_out(
    tmp_path_factory: pytest.TempPathFactory,
    links: list[tuple[str, list[str]]],
    name: list[str],
) -> None:
    root = tmp_path_factory.mktemp("image").resolve()
    for at, target in links:
        if not (root / at).is_symlink():
            (root / at).symlink_to("/".join(target))
    try:
        found = inside(root, "/".join(name), follow=True)
    except OSError:
        return
    assert found == root or root in found.parents
    assert found.resolve() == found
