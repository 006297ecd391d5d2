"""A captured machine, as a directory or as the text that ``host capture`` writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lanekeeper.domain.errors import Invalid

_SIGNS = ("sys/bus", "sys/devices", "sys/class", "sys/module", "proc/cpuinfo", "proc/cmdline")


def captured_text(file: Path) -> str:
    """Read the captured machine that ``--tree`` names, as its text.

    Raises:
        Invalid: it is none, or cannot be read.
    """
    if file.is_dir():
        hint = "`lanekeeper host capture FILE --root DIR` makes one of it"
        raise Invalid(f"--tree {file}: a directory, not a captured tree", hint=hint)
    with machine_at(file, "--tree"):
        return file.read_text("utf-8")


@contextmanager
def machine_at(root: Path, option: str = "--root") -> Iterator[Path]:
    """Find the machine that *option* names; a file is planted into a directory for the while.

    Raises:
        Invalid: there is none, or it cannot be read.
    """
    if _is_directory(root, option):
        yield _checked(root, root, option)
        return
    import tempfile  # a machine that is a directory does without

    with tempfile.TemporaryDirectory(
        prefix="lanekeeper-tree-", ignore_cleanup_errors=True
    ) as directory:
        yield _checked(_planted(root, Path(directory), option), root, option)


def _is_directory(root: Path, option: str) -> bool:
    try:
        return root.is_dir()
    except OSError as error:
        raise Invalid(f"{option} {root}: {error.strerror}") from error


def _checked(found: Path, root: Path, option: str) -> Path:
    """Return *found*, which *root* names. Raises Invalid: it is no machine."""
    try:
        is_there = _is_machine(found)
    except OSError as error:
        raise Invalid(f"{option} {root}: {error.strerror}") from error
    if not is_there:
        missing = "neither sys nor proc of a machine is in it"
        hint = "`lanekeeper host capture FILE` makes one"
        if (found / "etc").is_dir():
            hint += (
                "; if it is an image, `host plan`, `apply`, `rollback` and `drift` take --offline"
            )
        raise Invalid(f"{option} {root}: no captured machine: {missing}", hint=hint)
    return found


def _is_machine(root: Path) -> bool:
    """Whether *root* has anything of what a running Linux shows of itself.

    A directory named ``sys`` or ``proc`` is no sign yet: /proc itself has a ``sys``.

    Raises:
        OSError: *root* may not be looked into.
    """
    return any((root / sign).exists() for sign in _SIGNS)


def _planted(file: Path, directory: Path, option: str) -> Path:
    """Build the captured machine in *file* below *directory*. Raises Invalid."""
    from lanekeeper.host.tree import plant, require_whole  # a directory does without

    try:
        text = file.read_text("utf-8")
        require_whole(text)
        return plant(text, directory)
    except OSError as error:
        raise Invalid(f"{option} {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{option} {file}: no captured tree: not text") from error
    except Invalid as error:
        hint = error.hint or "`lanekeeper host capture FILE` makes one"
        raise Invalid(f"{option} {file}: no captured tree: {error}", hint=hint) from error
