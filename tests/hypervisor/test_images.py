import hashlib
import threading
from collections.abc import Callable, Iterator
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


class Day:
    """A clock that a test sets."""

    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def needs(*contents: bytes) -> Callable[[], frozenset[str]]:
    return lambda: frozenset(wanted(content).sha512 for content in contents)


def test_what_nothing_needs_goes_once_it_is_old_the_longest_unused_first(tmp_path: Path) -> None:
    day = Day()
    images = {}
    for content in (b"three", b"one", b"two", b"needed"):
        cache = ImageCache(tmp_path, Source(content), day)
        images[content] = cache.path(wanted(content))
        day.now_s += 1
    day.now_s += 60
    cache.path(wanted(b"three"))  # in use again
    assert cache.sweep(needs(b"needed"), 1000) == []
    day.now_s += 950
    assert cache.sweep(needs(b"needed"), 1000) == [
        (wanted(b"one").sha512, 3),
        (wanted(b"two").sha512, 3),
    ]
    assert set(tmp_path.iterdir()) == {images[b"three"], images[b"needed"]}
    day.now_s += 50
    assert cache.sweep(needs(b"needed"), 1000) == [(wanted(b"three").sha512, 5)]
    day.now_s += 999
    assert cache.sweep(needs(), 1000) == []  # it was in use until the last sweep
    day.now_s += 1
    assert cache.sweep(needs(), 1000) == [(wanted(b"needed").sha512, 6)]


def test_nothing_goes_while_it_cannot_be_told_what_is_needed(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "images", Source(CONTENT))
    assert cache.sweep(needs(), 0) == []  # nothing was ever fetched
    path = cache.path(wanted())
    assert cache.sweep(lambda: None, 0) == []
    assert path.exists()


def test_what_is_asked_for_while_a_sweep_looks_around_stays(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, Source(CONTENT))
    path = cache.path(wanted())

    def used() -> frozenset[str]:
        assert cache.path(wanted()) == path
        return frozenset()

    assert cache.sweep(used, 0) == []
    assert path.exists()
    assert cache.sweep(needs(), 0) == [(wanted().sha512, len(CONTENT))]
    assert cache.path(wanted()).read_bytes() == CONTENT  # fetched again


def test_a_sweep_waits_for_a_fetch_and_takes_what_a_killed_one_has_left(tmp_path: Path) -> None:
    left = tmp_path / f".{wanted(b'killed').sha512}.new"
    left.write_bytes(b"half of it")
    other = tmp_path / "README"
    other.write_text("not an image")
    source = Source(CONTENT)
    cache = ImageCache(tmp_path, source)
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        begun.set()
        assert go_on.wait(20)
        yield CONTENT

    source.pieces = slowly  # type: ignore[method-assign]  # this once
    fetch = threading.Thread(target=cache.path, args=(wanted(),))
    fetch.start()
    assert begun.wait(20)
    sweep = threading.Thread(target=cache.sweep, args=(needs(CONTENT), 0))
    sweep.start()
    go_on.set()
    fetch.join()
    sweep.join()
    assert (tmp_path / wanted().sha512).read_bytes() == CONTENT
    assert set(tmp_path.iterdir()) == {tmp_path / wanted().sha512, other}
