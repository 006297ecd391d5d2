"""What Lanekeeper's own files on a host say: a policy that does not say it again removes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.adoption.note import Note
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.kernel import MODULE, OPTION
from lanekeeper.domain.hostplan.steps.boot.grub import dropped_in, own_text


def own_arguments(host: HostFacts) -> tuple[str, ...]:
    """Return the kernel arguments that an earlier policy gave every entry, or one of its own."""
    entry = host.files.get(persistence.ENTRY_SCRIPT) or ""
    of_all = dropped_in(own_text(host))
    # A count of huge pages may be there once for each size.
    return (*of_all, *(word for word in dropped_in(entry) if word not in of_all))


def own_options(host: HostFacts) -> Mapping[str, list[str]]:
    """Return the options of each module."""
    found: dict[str, list[str]] = {}
    for module, *options in _told("options", host):
        kept = [option for option in options if _is_taken(module, option)]
        if kept:
            found.setdefault(module, []).extend(kept)
    return found


def own_blacklist(host: HostFacts) -> list[str]:
    """Return the modules that are not to load by themselves."""
    names = (words[0] for words in _told("blacklist", host))
    return list(dict.fromkeys(name for name in names if MODULE.fullmatch(name)))


def own_file_notes(host: HostFacts) -> Iterator[Note]:
    """Name the options that no policy can have."""
    for module, *options in _told("options", host):
        for option in options:
            if not _is_taken(module, option):
                says = "left out: a policy does not take it, and `host apply` removes it"
                yield Note(f"options {module} {option} of /{persistence.MODPROBE_FILE}", says)


def _is_taken(module: str, option: str) -> bool:
    is_count = option.partition("=")[0] == "max_vfs"
    return bool(MODULE.fullmatch(module) and OPTION.fullmatch(option)) and not is_count


def _told(word: str, host: HostFacts) -> Iterator[list[str]]:
    """Yield what stands behind *word*, line by line, in a file that Lanekeeper wrote."""
    text = host.files.get(persistence.MODPROBE_FILE) or ""
    for line in text.splitlines() if persistence.SIGN in text else ():
        first, *words = line.split() or [""]
        if first == word and words:
            yield words
