import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lanekeeper.domain.errors import HostFault, Invalid, Unavailable
from lanekeeper.hypervisor.images import ImageCache
from lanekeeper.protocol import ImageWanted

CONTENT = b"root file system" * 1000


class Source:
    """Gives *content* in pieces, and counts how often it was asked."""

    def __init__(self, content: bytes, *, breaks_off: bool = False) -> None:
        self.content = content
        self.breaks_off = breaks_off
        self.asked = 0

    @contextmanager
    def __call__(self, image_id: str) -> Iterator[Iterator[bytes]]:
        self.asked += 1
        yield self.pieces()

    def pieces(self) -> Iterator[bytes]:
        for start in range(0, len(self.content), 1000):
            yield self.content[start : start + 1000]
            if self.breaks_off:
                raise Unavailable("the connection broke")


def wanted(content: bytes = CONTENT, **values: object) -> ImageWanted:
    fields = {
        "id": "image",
        "sha512": hashlib.sha512(content).hexdigest(),
        "size_bytes": len(content),
    }
    return ImageWanted(**(fields | values))  # type: ignore[arg-type]  # named as the fields are


def test_an_image_is_fetched_once(tmp_path: Path) -> None:
    source = Source(CONTENT)
    cache = ImageCache(tmp_path / "images", source)
    assert cache.path(wanted()).read_bytes() == CONTENT
    assert cache.path(wanted(id="the same under another id")).read_bytes() == CONTENT
    assert source.asked == 1


def test_many_who_want_it_at_once_fetch_it_once(tmp_path: Path) -> None:
    source = Source(CONTENT)
    cache = ImageCache(tmp_path, source)
    threads = [threading.Thread(target=cache.path, args=(wanted(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.asked == 1


@pytest.mark.parametrize(
    ("came", "message"),
    [
        (CONTENT[:-1] + b"X", "hashes to"),
        (CONTENT + b"X", "is longer than"),
        (CONTENT[:-1], "ended after 15999 of 16000"),
    ],
)
def test_other_bytes_than_promised_are_not_kept(tmp_path: Path, came: bytes, message: str) -> None:
    cache = ImageCache(tmp_path, Source(came))
    with pytest.raises(HostFault, match=message):
        cache.path(wanted())
    assert not list(tmp_path.iterdir())


def test_a_broken_transfer_leaves_nothing_and_may_be_tried_again(tmp_path: Path) -> None:
    source = Source(CONTENT, breaks_off=True)
    cache = ImageCache(tmp_path, source)
    with pytest.raises(Unavailable):
        cache.path(wanted())
    assert not list(tmp_path.iterdir())
    source.breaks_off = False
    assert cache.path(wanted()).read_bytes() == CONTENT


@pytest.mark.parametrize("sha512", ["", "../../etc/passwd", "A" * 128, "a" * 127])
def test_a_checksum_that_is_none_names_no_file(tmp_path: Path, sha512: str) -> None:
    with pytest.raises(Invalid, match="not a SHA-512"):
        ImageCache(tmp_path, Source(CONTENT)).path(wanted(sha512=sha512))
