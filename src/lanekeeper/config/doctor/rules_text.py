"""Rules about how files are written: characters, lines, JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lanekeeper.config.character import MARKUP, QUOTES, SPACES, foreign, mended
from lanekeeper.config.correction import meant
from lanekeeper.config.doctor import reading
from lanekeeper.config.doctor.case import Case, Line, Object
from lanekeeper.config.doctor.finding import Check, Hit, Rule
from lanekeeper.config.doctor.source import Source
from lanekeeper.config.loose_json import LOOSE, SEVERAL
from lanekeeper.domain.hostplan.findings.finding import Severity

_VF = '{"vendor_id": "8086", "product_id": "10ca"}'
_GOOD = f"[pci]\ndevice_spec = {_VF}\n"


def _flaws(kind: str, says: Callable[[Case, Source, Line | None], tuple[str, str]]) -> Check:
    """Make a rule of the flaws of one kind in lines that matter here."""

    def check(case: Case) -> Iterator[Hit]:
        for flaw, line in case.flaws:
            if flaw.kind == kind and (line is None or line.option is not None):
                yield Hit(flaw.source, *says(case, flaw.source, line))

    return check


def _plain(says: str, fix: str) -> Callable[[Case, Source, Line | None], tuple[str, str]]:
    return lambda _case, _source, _line: (says, fix)


def _foreign(case: Case, source: Source, _line: Line | None) -> tuple[str, str]:
    text = case.text_at(source)
    codes = list(foreign(text))
    are = f"{', '.join(codes)} {'comes' if len(codes) == 1 else 'come'}" if codes else "they come"
    says = f"{are} from a web page or an input method and {'is' if len(codes) == 1 else 'are'} "
    return f"{says}no sign of this file's", mended(text)[0]


def _quotes(case: Case, source: Source, _line: Line | None) -> tuple[str, str]:
    text = case.text_at(source)
    shown = " ".join(dict.fromkeys(sign for sign in text if QUOTES in mended(sign)[1]))
    return (
        f"{shown}: typographic quotes, as web pages have them; JSON has the straight one only",
        mended(text)[0],
    )


def _markup(case: Case, source: Source, _line: Line | None) -> tuple[str, str]:
    return "marks of a web page's source stand in the line", mended(case.text_at(source))[0]


def _indented(_case: Case, _source: Source, line: Line | None) -> tuple[str, str]:
    what = f"{line.place} is" if line else "a section is"
    return (
        f"{what} indented: a start takes the line for a part of the value above, or refuses it",
        "let it begin in the first column",
    )


def _each(case: Case) -> Iterator[Object]:
    yield from case.specs
    yield from case.aliases


def _of_kind(kind: str, says: str, fix: Callable[[Object], str]) -> Check:
    def check(case: Case) -> Iterator[Hit]:
        seen = set()
        for one in _each(case):
            if kind in one.kinds and one.source not in seen:
                seen.add(one.source)
                yield Hit(one.source, says, fix(one))

    return check


def _meant(one: Object) -> str:
    assert one.line.option is not None
    return "; ".join(meant(one.line.option, one.line.value)) or str(one)


def _not_json(case: Case) -> Iterator[Hit]:
    for one in _each(case):
        if one.entry is None:
            for error in one.errors:
                yield Hit(one.source, f"{one.which}{error}", error.hint or f"an example: {_VF}")


def _twice(case: Case) -> Iterator[Hit]:
    for one in _each(case):
        if one.twice:
            keys = ", ".join(one.twice)
            yield Hit(
                one.source,
                f"{keys} stands there twice; a start here refuses it, Nova takes the last",
                "remove one",
            )


def _inline_comment(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        if line.comment:
            yield Hit(
                line.source,
                f"{line.comment!r} is no comment behind a value but a part of it",
                "put the comment on a line of its own",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        id=reading.BOM,
        severity=Severity.ERROR,
        what="The file begins with a byte order mark, as Windows editors write it. oslo.config "
        "takes it for a part of the first line.",
        check=_flaws(reading.BOM, _plain("the file begins with a byte order mark", "remove it")),
        shows=f"\ufeff{_GOOD}",
        spares=_GOOD,
    ),
    Rule(
        id=reading.CRLF,
        severity=Severity.INFO,
        what="Lines end with carriage return and line feed. They are read all the same.",
        check=_flaws(reading.CRLF, _plain("lines end as on Windows", "dos2unix")),
        shows=_GOOD.replace("\n", "\r\n"),
        spares=_GOOD,
    ),
    Rule(
        id=reading.ENCODING,
        severity=Severity.ERROR,
        what="The file is not UTF-8; a start refuses it whole, comments too.",
        check=_flaws(reading.ENCODING, _plain("here it is not UTF-8", "save it as UTF-8")),
        shows=f"bytes:# caf\\xe9\n{_GOOD}",
        spares=f"# caf\u00e9\n{_GOOD}",
    ),
    Rule(
        id=QUOTES,
        severity=Severity.ERROR,
        what="Quotes of typography, pasted from a web page, are not JSON's.",
        check=_flaws(QUOTES, _quotes),
        shows="[pci]\ndevice_spec = {\u201cvendor_id\u201d: \u201c8086\u201d}\n",
        spares='# \u201cquoted\u201d\n[pci]\ndevice_spec = {"vendor_id": "8086"}\n',
    ),
    Rule(
        id=SPACES,
        severity=Severity.ERROR,
        what="Blanks that are none (U+00A0, U+3000, zero width) or full-width signs of an input "
        "method look right and are not.",
        check=_flaws(SPACES, _foreign),
        shows='[pci]\ndevice_spec\u3000\uff1d {"vendor_id"\uff1a "8086"}\n',
        spares=_GOOD,
    ),
    Rule(
        id=MARKUP,
        severity=Severity.ERROR,
        what="Marks of a web page's source (`\\{`, `~`, `&quot;`) came along with the text.",
        check=_flaws(MARKUP, _markup),
        shows='~ pci_passthrough_whitelist = \\{"vendor_id": "8086"} ~\n',
        spares='pci_passthrough_whitelist = {"vendor_id": "8086"}\n',
    ),
    Rule(
        id=reading.UNREADABLE,
        severity=Severity.ERROR,
        what="The line is neither a section, nor `key = value`, nor a comment, nor indented to "
        "continue a value. A start refuses the file.",
        check=_flaws(
            reading.UNREADABLE,
            _plain(
                "neither a section, nor key = value, nor a comment", "remove it, or put # before"
            ),
        ),
        shows="[root@compute ~]# vi nova.conf\n[pci]\n",
        spares="# [root@compute ~]# vi nova.conf\n[pci]\n",
    ),
    Rule(
        id=reading.INDENTED,
        severity=Severity.ERROR,
        what="A key or section is indented. oslo.config joins the line to the value above it "
        "without a word, so both are lost.",
        check=_flaws(reading.INDENTED, _indented),
        shows='[pci]\nreport_in_placement = true\n  alias = {"name": "a", "vendor_id": "8086", '
        '"product_id": "10ca"}\n',
        spares='[pci]\ndevice_spec = [{"vendor_id": "8086"},\n  {"vendor_id": "15b3"}]\n',
    ),
    Rule(
        id=reading.UNINDENTED,
        severity=Severity.ERROR,
        what="A JSON value goes on in lines that are not indented, or after an empty line. "
        "oslo.config ends the value before them.",
        check=_flaws(
            reading.UNINDENTED,
            _plain(
                "the value goes on in lines that are not indented: a start ends it before",
                "indent every line but the first",
            ),
        ),
        shows='[pci]\ndevice_spec = [\n{"vendor_id": "8086"}\n]\n',
        spares='[pci]\ndevice_spec = [\n  {"vendor_id": "8086"}\n  ]\n',
    ),
    Rule(
        id=reading.COMMENT_INSIDE,
        severity=Severity.ERROR,
        what="A comment stands inside a value, or behind a section. oslo.config takes it for a "
        "part of what it stands in.",
        check=_flaws(
            reading.COMMENT_INSIDE,
            _plain(
                "a comment inside a value or behind a section is taken for a part of it",
                "put it above, from the first column on",
            ),
        ),
        shows='[pci]\ndevice_spec = [{"vendor_id": "8086"},\n  # the other card\n'
        '  {"vendor_id": "15b3"}]\n',
        spares='[pci]\n# both cards\ndevice_spec = [{"vendor_id": "8086"},\n'
        '  {"vendor_id": "15b3"}]\n',
    ),
    Rule(
        id="inline-comment",
        severity=Severity.ERROR,
        what="oslo.config has no comments behind values: what follows `#` belongs to the value.",
        check=_inline_comment,
        shows="[ml2_type_vlan]\nnetwork_vlan_ranges = physnet1:15:20 # web\n",
        spares="[ml2_type_vlan]\n# web\nnetwork_vlan_ranges = physnet1:15:20\n",
    ),
    Rule(
        id=LOOSE,
        severity=Severity.ERROR,
        what="Single quotes, words without quotes or a trailing comma: a Python or YAML "
        "spelling, as Nova's own guide prints it for `live_migratable`, is not JSON.",
        check=_of_kind(LOOSE, "not JSON, though it can be told what is meant", _meant),
        shows="[pci]\ndevice_spec = {'vendor_id': '8086',}\n",
        spares=_GOOD,
    ),
    Rule(
        id=SEVERAL,
        severity=Severity.ERROR,
        what="Several JSON objects follow each other without being a list.",
        check=_of_kind(
            SEVERAL,
            "several objects that are no list",
            lambda one: f"[..., ...] around them, or one {one.line.place} for each",
        ),
        shows='[pci]\ndevice_spec = {"vendor_id": "8086"}, {"vendor_id": "15b3"}\n',
        spares='[pci]\ndevice_spec = [{"vendor_id": "8086"}, {"vendor_id": "15b3"}]\n',
    ),
    Rule(
        id="value-not-json",
        severity=Severity.ERROR,
        what="The value of device_spec or alias is no JSON object, and nobody can tell what was "
        "meant.",
        check=_not_json,
        shows="[pci]\ndevice_spec = 8086:10ca\n",
        spares=_GOOD,
    ),
    Rule(
        id="json-key-twice",
        severity=Severity.ERROR,
        what="One object has a key twice; Nova keeps the last in silence, a start here refuses it.",
        check=_twice,
        shows='[pci]\ndevice_spec = {"address": "0000:3b:10.0", "address": "0000:3b:10.2"}\n',
        spares='[pci]\ndevice_spec = {"address": "0000:3b:10.0"}\n'
        'device_spec = {"address": "0000:3b:10.2"}\n',
    ),
)
