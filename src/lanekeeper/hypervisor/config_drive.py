"""The drive on which a guest finds what it should know about itself.

Source: OpenStack Compute user guide, "Metadata": an ISO 9660 file system labelled ``config-2``.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import PurePosixPath

import pycdlib

from lanekeeper.domain.errors import Invalid

LABEL = "config-2"


def config_drive(files: dict[str, str]) -> bytes:
    """Return the ISO image that holds *files*, by path below the drive.

    Long names are kept twice, as Rock Ridge for Linux and as Joliet for Windows.

    Raises:
        Invalid: a path is absolute, climbs up, or is a directory of another.
    """
    paths = {_checked(name): content for name, content in files.items()}
    for both in paths.keys() & {parent for path in paths for parent in path.parents}:
        raise Invalid(f"config drive: {both} is both a file and a directory")
    drive = pycdlib.PyCdlib()
    drive.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    names: dict[PurePosixPath, str] = {PurePosixPath(): ""}
    try:
        for path in sorted(paths):
            for parent in reversed(path.parents[:-1]):
                _add_directory(drive, parent, names)
            _add_file(drive, path, paths[path].encode(), names)
        image = BytesIO()
        drive.write_fp(image)
        return image.getvalue()
    except pycdlib.pycdlibexception.PyCdlibInvalidInput as error:
        raise Invalid(f"the config drive cannot be made: {error}") from error
    finally:
        drive.close()


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or str(path) != name:
        raise Invalid(f"config drive: {name!r} is not a path below the drive")
    return path


def _short(path: PurePosixPath, names: dict[PurePosixPath, str], ending: str) -> str:
    """Give *path* a plain ISO name; readers use the long ones, so a number is as good as any."""
    return f"{names[path.parent]}/N{len(names):07d}{ending}"


def _add_directory(
    drive: pycdlib.PyCdlib, path: PurePosixPath, names: dict[PurePosixPath, str]
) -> None:
    if path not in names:
        names[path] = _short(path, names, "")
        drive.add_directory(names[path], rr_name=path.name, joliet_path=f"/{path}")


def _add_file(
    drive: pycdlib.PyCdlib, path: PurePosixPath, content: bytes, names: dict[PurePosixPath, str]
) -> None:
    names[path] = _short(path, names, ".;1")
    drive.add_fp(
        BytesIO(content),
        len(content),
        names[path],
        rr_name=path.name,
        joliet_path=f"/{path}",
    )
