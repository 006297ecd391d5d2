"""Files for tests of the doctor, as the rules' examples write them."""

from __future__ import annotations

from pathlib import Path

LAB_TREE = Path(__file__).parent / "host/trees/lab-host.tree"


def write_files(text: str, directory: Path) -> list[Path]:
    """Write *text* as nova.conf; a line ``==> NAME <==`` begins another file."""
    name, parts = "nova.conf", dict[str, str]()
    for line in text.splitlines(keepends=True):
        if line.startswith("==> "):
            name = line.split()[1]
        else:
            parts[name] = parts.get(name, "") + line
    for file, content in parts.items():
        is_raw = content.startswith("bytes:")
        data = content.removeprefix("bytes:").encode()
        (directory / file).write_bytes(data.replace(b"\\xe9", b"\xe9") if is_raw else data)
    return [directory / file for file in parts]
