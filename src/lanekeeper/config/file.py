"""Reads configuration files and keeps where each value stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

import yaml
from oslo_config import iniparser

from lanekeeper.domain.errors import Invalid

FILE_BYTES_MAX = 4 * 2**20
NO_SECTION = ""
_YAML_SUFFIXES = frozenset({".yml", ".yaml"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One assignment in a file.

    Attributes:
        section: lower case; ``default`` for [DEFAULT], empty where no section began yet.
        source: file and line, as in ``nova.conf:12``.
        is_vio: it stands in VMware Integrated OpenStack's custom.yml.
        line: in an INI file, its first line as it stands.
    """

    section: str
    key: str
    value: str
    source: str
    is_vio: bool = False
    line: str = ""

    @property
    def directory(self) -> Path:
        """Where the file lies, absolute; for what no file says, the current directory."""
        file = self.source.rpartition(":")[0]
        return Path(file).absolute().parent if file else Path.cwd()


def read_files(paths: Sequence[Path]) -> tuple[Entry, ...]:
    """Read all *paths* in order; ``.yml`` and ``.yaml`` as VIO's custom.yml, others as INI.

    Raises:
        Invalid: a file that cannot be read, is no text, or breaks the format; named with its line.
    """
    entries: list[Entry] = []
    for path in paths:
        text = read_text(path)
        read = _read_vio if path.suffix in _YAML_SUFFIXES else _read_ini
        entries.extend(read(path, text))
    return tuple(substituted(entries))


class _Parser(iniparser.BaseParser):
    """oslo.config's reader of INI files, which forgets line numbers, told to keep them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.entries: list[Entry] = []
        self._path = path
        self._section = NO_SECTION
        self._began = 0
        self._line = ""

    def new_section(self, section: str) -> None:
        self._section = section.strip().lower()

    def assignment(self, key: str, value: list[str]) -> None:
        source = f"{self._path}:{self._began}"
        name = key.replace("-", "_")
        whole = "\n".join(value).strip()
        self.entries.append(Entry(self._section, name, whole, source, line=self._line))

    def _split_key_value(self, line: str) -> tuple[str, list[str]]:
        # Called on an assignment's first line; assignment() comes only after its last.
        self._began, self._line = self.lineno, line
        key, value = super()._split_key_value(line)
        return key, value


def assigned(line: str) -> tuple[str, str]:
    """Split ``key = value`` where oslo.config does; key and value are empty without a sign."""
    ends = [at for at in (line.find(":"), line.find("=")) if at >= 0]
    if not ends:
        return "", ""
    return line[: min(ends)].strip().replace("-", "_"), line[min(ends) + 1 :].strip()


def _read_ini(path: Path, text: str) -> list[Entry]:
    parser = _Parser(path)
    try:
        parser.parse(text.split("\n"))
    except iniparser.ParseError as error:
        raise Invalid(
            f"{path}:{error.lineno}: {error.msg}: {error.line[:80]!r}",
            hint="a line is [section], key = value, a comment after #, or indented to continue",
        ) from error
    return parser.entries


def _read_vio(path: Path, text: str) -> list[Entry]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise Invalid(f"{path}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid(f"{path}: not YAML: {error}") from error
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise Invalid(f"{path}:1: a custom.yml is a mapping of names to values")
    return [entry for key, value in root.value for entry in _vio_entries(path, key, value)]


def _vio_entries(path: Path, key: yaml.Node, value: yaml.Node) -> Iterator[Entry]:
    """Yield one entry for each item of a list, since that is how the options repeat."""
    name = str(key.value)
    items = value.value if isinstance(value, yaml.SequenceNode) else [value]
    for item in items:
        source = f"{path}:{item.start_mark.line + 1}"
        plain = _plain(item, source)
        text = plain if isinstance(plain, str) else json.dumps(plain)
        yield Entry("vio", name, text, source, is_vio=True)


def _plain(node: yaml.Node, source: str) -> Any:
    loader = yaml.SafeLoader("")
    try:
        plain = loader.construct_object(node, deep=True)
        json.dumps(plain)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"{source}: not a value that JSON could hold: {error}") from error
    finally:
        loader.dispose()
    return plain


def read_text(path: Path) -> str:
    """Return the text of a file that an operator wrote.

    Raises:
        Invalid: it cannot be read, is larger than FILE_BYTES_MAX, or no text; named.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise Invalid(f"{path} is larger than {FILE_BYTES_MAX} bytes")
        raw = path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Invalid(f"{path}:{line}: not UTF-8 text") from error
    if "\0" in text:
        raise Invalid(f"{path}:{text.count(chr(10), 0, text.index(chr(0))) + 1}: has a NUL byte")
    return text


def substituted(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Replace ``$name`` by another key's value, of the same section or [DEFAULT], as oslo does.

    What names no key stays: a regular expression ends with ``$`` too.
    """
    entries = tuple(entries)
    defaults = {one.key: one.value for one in entries if one.section in ("default", NO_SECTION)}
    for one in entries:
        if "$" not in one.value or one.is_vio:
            yield one
            continue
        own = {other.key: other.value for other in entries if other.section == one.section}
        value = Template(one.value).safe_substitute(defaults | own)
        yield replace(one, value=value)
