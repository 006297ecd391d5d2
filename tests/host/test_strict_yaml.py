import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import size
from host.planted import SAMPLE_POLICY
from lanekeeper.domain.errors import Invalid
from lanekeeper.host.policy_file import load_policy, read_policy

GOOD = 'version: 1\npfs:\n  - pf: "0000:21:00.0"\n    vfs: 7\n'
SAMPLE = SAMPLE_POLICY.read_text()


def refusal(text: str) -> tuple[str, str]:
    with pytest.raises(Invalid) as caught:
        load_policy(text, "p")
    return str(caught.value), caught.value.hint


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (GOOD + "\tx: 1", "p:5:1: a tab, where YAML takes blanks only", "put blanks"),
        ("version: 1\npfs:\n \t- pf: x", "p:3:2: a tab, where", "put blanks"),
        (GOOD.replace("vfs: ", "vfs:\t"), "p:4:9: a tab, where", "put blanks"),
        (GOOD + "---\n" + GOOD, "p:5:1: a second document begins here", "drop the line ---"),
        (GOOD.replace('"', "”"), "p:3:9: ” is no quote in YAML", 'straight quotes: "'),
        (
            GOOD.replace("vfs", "\u2018vfs\u2019"),
            "p:4:5: \u2018 is no quote in YAML",
            "straight quotes",
        ),
        (GOOD.replace("- pf", "\u2013 pf"), "p:3:3: \u2013 is no hyphen", "hyphen and a blank"),
        (GOOD.replace("pf: ", "pf:\xa0"), "p:3:8: a blank or mark .* U\\+00A0", "type it anew"),
        (GOOD.replace("    vfs", " \xa0  vfs"), "p:4:2: a blank or mark .* U\\+00A0", "plain"),
        (GOOD + "    vfs: 3", "p:5:5: pfs\\[0\\].vfs: stands twice, first in line 4", "drop one"),
        (GOOD + "x: &a [1]\ny: *a", "p:6:4: y: is an alias, \\*a", "write it out"),
        (GOOD.replace('"0000:21:00.0"', "*:21:*"), "p:3:9: \\* begins an alias", "glob in quotes"),
        (GOOD.replace('"0000:21:00.0"', "*21"), "p:3:9: .*is an alias, \\*21", "A glob stands in"),
        (GOOD.replace(": 7", ":7"), "p:4:5: no key and no list entry: 'vfs:7'", "vfs: with a bl"),
        ("version:1\npfs: []", "p:2:1: continues the value of line 1", "version: with a blank"),
        ("version: 1\n pfs: []", "p:2:2: continues the value of line 1: '1'", "same column"),
        ("version: 1\npfs:[]\nx: 1", "p:2:1: no key and no list entry", "pfs: with a blank"),
        ("a: !!python/object:os.system 1", "p:1:4: a: has a tag, !!python/object", "drop it"),
        ("a: !x!y 1", "p:1:4: ! begins a tag", "quotes"),
        ("a: @x", "p:1:4: no value begins with @", "quotes"),
        ("a: b: c", "p:1:5: a colon and a blank within a value", "quotes"),
        ("a: [b\nc: d", "p:2:1: continues the value", "close the bracket of line 1, column 4"),
        ("a: [b, 'c'\nd: 1", "p:2:1: \\[ of line 1, column 4, is not closed", "close it with \\]"),
        ("a: {b: c", "p:1:9: { of line 1, column 4, .* the end of the file", "close it with }"),
        ("a: {b: 1}}", "p:1:10: } closes nothing", "drop it"),
        ("[a]]", "p:1:4: \\] closes nothing", "drop it"),
        ("a: [b, , c]", "p:1:8: a value belongs here, not a comma", "drop what stands here"),
        ("a: 'x\nb: 1", "p:1:4: ' is not closed", "same quote"),
        ('a: "\\d"', "p:1:6: a backslash that begins no escape", "single quotes"),
        ("a: |x", "p:1:4: | and > begin a text", "quotes"),
        ("a: & b", "p:1:4: & begins an anchor", "quotes"),
        ("a: ? b", "p:1:4: a question mark and a blank", "quotes"),
        ("a: - b", "p:1:4: a list entry within a line", "in brackets: \\[a, b\\]"),
        ("pfs:\n  - a: 1\n - b: 2", "p:3:2: a list entry in a column", "line 1 does in column 1"),
        (" a: 1\nb: 2", "p:2:1: a key, when the document is over", "same column"),
        ('a: "x", b', "p:1:7: a comma behind a value", "quote the value as a whole"),
        ("a: 1\n  # x\n   b: 2", "p:3:4: a key in a column where nothing began", "column"),
        ("a:\n  b: 'x'\n    c: 1", "p:3:5: a key in a column where nothing began", "same column"),
        (": x", "p:1:1: no key stands before the colon", "key: value"),
        ("? [a]\n: 1", "p:1:3: a key is no plain word", "key: value"),
        ("%YAML 2.0\n---\na: 1", "p:1:1: a line with % begins a directive", "drop it"),
        ("a: \0", "p:1:4: a character that no text has: U\\+0000", "drop it"),
        ("[" * 5000, "p:1:17: .*is nested too deep", "at most 16 levels"),
        ("- " * 5000, "p:1:33: .*is nested too deep", "at most 16 levels"),
        ("a: " + "[" * 20 + "]" * 20, "p:1:19: .*is nested too deep", "at most 16 levels"),
    ],
)
def test_what_is_no_yaml_is_told_in_our_words_with_line_and_column(
    text: str, message: str, hint: str
) -> None:
    said, helped = refusal(text)
    assert re.match(message, said)
    assert re.search(hint, helped)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD.encode("utf-16"), ":1:1: is UTF-16"),
        (GOOD.encode("utf-16-be"), ":1:1: is UTF-16 or UTF-32, or no text"),
        (GOOD.encode("utf-32-le"), ":1:1: is UTF-16 or UTF-32, or no text"),
        (b"version: 1\n# caf\xc3\xa9 caf\xe9\n", ":2:11: not UTF-8: byte 0xE9"),
        (b"\x1f\x8b\x08\x00gzip", ":1:1: is UTF-16 or UTF-32, or no text"),
        (b"#" * 300_000, ": too long for a policy"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "p").write_bytes(data)
    with pytest.raises(Invalid) as caught:
        read_policy(tmp_path / "p")
    assert f"p{message}" in str(caught.value)
    assert caught.value.hint


def test_a_device_that_never_ends_is_too_long() -> None:
    with pytest.raises(Invalid, match="/dev/zero: too long for a policy"):
        read_policy(Path("/dev/zero"))


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n")])
def test_marks_and_line_ends_of_windows_are_taken(tmp_path: Path, data: bytes | str) -> None:
    (tmp_path / "p").write_bytes(data if isinstance(data, bytes) else data.encode())
    assert read_policy(tmp_path / "p").pfs[0].vfs == 7


def test_a_date_is_the_text_that_it_is_written_as() -> None:
    found = load_policy(GOOD + "    alias: 2026-11-27\n", "p")
    assert str(found.pfs[0].purpose) == "alias 2026-11-27"


@pytest.mark.parametrize(
    ("value", "said", "hint"),
    [
        ("no", "p:5: pfs[0].alias: is False", "in quotes, since without them YAML takes it for"),
        ("5", "p:5: pfs[0].alias: is 5", "in quotes, since without them YAML takes it for a num"),
        ("2026-13-45: x", "p:5:22: a colon", "quotes"),
        ("[a]", "p:5: pfs[0].alias: is ['a']", "a name without blanks and quotes"),
    ],
)
def test_what_yaml_takes_for_something_else_is_told_to_be_quoted(
    value: str, said: str, hint: str
) -> None:
    message, helped = refusal(f"{GOOD}    alias: {value}\n")
    assert message.startswith(said)
    assert hint in helped


@settings(max_examples=size(150, 2000))
@given(
    at=st.integers(0, len(SAMPLE)),
    length=st.integers(0, 12),
    put=st.text("\t\n -:,#'\"[]{}*&!|>%@`?.\\<=~0x\xa0“\u2013\ufeffé", max_size=4),
)
def test_no_damage_to_a_policy_is_told_in_the_librarys_words(
    at: int, length: int, put: str
) -> None:
    fault = fault_of(SAMPLE[:at] + put + SAMPLE[at + length :])
    if fault is not None:
        assert re.match(r"p:\d+(:\d+)?: ", str(fault))
        assert not re.search(r"expected |while |token|scalar|block end|mapping values", str(fault))
        assert fault.hint


def fault_of(text: str) -> Invalid | None:
    try:
        load_policy(text, "p")
    except Invalid as error:
        return error
    return None
