"""The backports entry follows the machine's own mirror, whichever form that is written in."""

from __future__ import annotations

import pytest

from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.lab.apt_source import (
    AptSource,
    backports_entry,
    parse_deb822,
    parse_one_line,
    render_deb822,
)

DEB822 = """\
# the machine's own
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64,i386 signed-by=/k.gpg check-valid-until=no] http://m.example/debian bookworm main
deb http://security.example/ bookworm-security main  # comment
deb broken
"""


def test_the_mirror_and_key_of_a_deb822_entry_are_taken_over() -> None:
    entry = backports_entry(parse_deb822(DEB822), "bookworm")
    assert entry is not None
    assert render_deb822(entry) == (
        "Types: deb\n"
        "URIs: http://mirror.example/debian\n"
        "Suites: bookworm-backports\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_options_of_a_one_line_entry_become_fields() -> None:
    entry = backports_entry(parse_one_line(ONE_LINE), "bookworm")
    assert entry == AptSource(
        ("deb",),
        ("http://m.example/debian",),
        ("bookworm-backports",),
        ("main",),
        (
            ("Architectures", "amd64 i386"),
            ("Signed-By", "/k.gpg"),
            ("Check-Valid-Until", "no"),
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "deb http://m.example/debian bookworm-backports main",
        "deb [trusted=yes] http://m.example/debian bookworm-backports main contrib",
    ],
)
def test_nothing_is_derived_where_backports_are_configured(text: str) -> None:
    assert backports_entry(parse_one_line(f"{ONE_LINE}\n{text}"), "bookworm") is None


def test_a_machine_without_the_release_itself_is_refused() -> None:
    with pytest.raises(NotFound, match="bookworm-backports cannot be derived"):
        backports_entry(parse_one_line("deb http://m.example/ trixie main"), "bookworm")


def test_a_key_written_out_survives_with_its_lines() -> None:
    text = (
        "Types: deb\nURIs: http://m.example/\nSuites: bookworm\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n"
    )
    entry = backports_entry(parse_deb822(text), "bookworm")
    assert entry is not None
    again = next(parse_deb822(render_deb822(entry)))
    assert again == entry
    assert "\n .\n abc=" in render_deb822(entry)


def test_an_entry_without_a_mirror_cannot_be_written() -> None:
    with pytest.raises(Invalid, match="a mirror"):
        render_deb822(AptSource(("deb",), (), ("bookworm",)))
