"""APT sources: what the machine is configured for, and the backports entry derived from it.

Both forms are read: deb822 (``*.sources``) and one-line (``*.list``). The mirror, its key and its
options are taken over from the machine's own entry, so a machine behind a mirror stays behind it.

Source: ``sources.list(5)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lanekeeper.domain.errors import Invalid, NotFound

ONE_LINE_OPTIONS = {"arch": "Architectures", "lang": "Languages", "target": "Targets"}
ENTRY_PARTS_MIN = 3  # "deb", a mirror, a suite


@dataclass(frozen=True, slots=True)
class AptSource:
    """One entry; *options* are deb822 fields such as ``Signed-By``, in their order."""

    types: tuple[str, ...]
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


def parse_deb822(text: str) -> Iterator[AptSource]:
    """Yield the enabled entries of a ``.sources`` file."""
    for stanza in _stanzas(text):
        fields = {name.lower(): value for name, value in stanza}
        if fields.get("enabled", "yes").strip().lower() in {"no", "false", "0", "off"}:
            continue
        known = {"types", "uris", "suites", "components", "enabled"}
        yield AptSource(
            types=tuple(fields.get("types", "").split()),
            uris=tuple(fields.get("uris", "").split()),
            suites=tuple(fields.get("suites", "").split()),
            components=tuple(fields.get("components", "").split()),
            options=tuple((name, value) for name, value in stanza if name.lower() not in known),
        )


def _stanzas(text: str) -> Iterator[list[tuple[str, str]]]:
    stanza: list[tuple[str, str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza = []
        elif line[0] in " \t" and stanza:  # a value's further lines, such as a key written out
            name, value = stanza[-1]
            stanza[-1] = (name, f"{value}\n{line}")
        else:
            name, _, value = line.partition(":")
            stanza.append((name.strip(), value.strip()))


def parse_one_line(text: str) -> Iterator[AptSource]:
    """Yield the entries of a ``.list`` file; a line that is none is left out, as apt would not."""
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        kind, _, rest = line.partition(" ")
        if kind not in {"deb", "deb-src"}:
            continue
        options = ""
        if rest.lstrip().startswith("["):
            options, _, rest = rest.lstrip()[1:].partition("]")
        parts = rest.split()
        if len(parts) + 1 < ENTRY_PARTS_MIN:
            continue
        yield AptSource(
            types=(kind,),
            uris=(parts[0],),
            suites=(parts[1],),
            components=tuple(parts[2:]),
            options=tuple(_one_line_options(options)),
        )


def _one_line_options(text: str) -> Iterator[tuple[str, str]]:
    for option in text.split():
        name, _, value = option.partition("=")
        title = ONE_LINE_OPTIONS.get(name.lower(), "-".join(map(str.title, name.split("-"))))
        yield title, value.replace(",", " ")


def backports_entry(sources: Iterable[AptSource], codename: str) -> AptSource | None:
    """Derive the entry for *codename*'s backports, or None when the machine has one.

    Raises:
        NotFound: no entry serves *codename* itself, so there is no mirror to derive from.
    """
    wanted = f"{codename}-backports"
    binary = [source for source in sources if "deb" in source.types]
    if any(wanted in source.suites for source in binary):
        return None
    for source in binary:
        if codename in source.suites and "main" in source.components:
            return AptSource(("deb",), source.uris, (wanted,), ("main",), source.options)
    raise NotFound(
        f"no APT source serves {codename} main, so {wanted} cannot be derived from one",
        hint=f"add an entry for {wanted} to /etc/apt/sources.list.d yourself",
    )


def render_deb822(source: AptSource) -> str:
    """Write *source* as one deb822 stanza.

    Raises:
        Invalid: it names no type, mirror or suite.
    """
    if not (source.types and source.uris and source.suites):
        raise Invalid(f"an APT source needs a type, a mirror and a suite: {source}")
    fields = [
        ("Types", " ".join(source.types)),
        ("URIs", " ".join(source.uris)),
        ("Suites", " ".join(source.suites)),
        ("Components", " ".join(source.components)),
        *source.options,
    ]
    # A value that starts on the line after its name (a key written out) has no space before it.
    return "".join(f"{name}:{_joint(value)}{value}\n" for name, value in fields)


def _joint(value: str) -> str:
    return "" if value.startswith("\n") else " "
