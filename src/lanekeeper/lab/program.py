"""Running one program of this machine to its end."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from os import environ
from pathlib import Path

from lanekeeper.domain.errors import HostFault, Unavailable

ERROR_TAIL = 800  # characters of a program's stderr that a fault carries


def run(
    argv: Sequence[str],
    *,
    timeout_s: float = 120,
    cwd: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    fine: Sequence[int] = (0,),
) -> bytes:
    """Run *argv* without a shell and return what it wrote to its standard output.

    Exit codes in *fine* are no failure.

    Raises:
        Unavailable: no such program here.
        HostFault: it failed or ran longer than *timeout_s*; carries the end of its stderr.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            cwd=cwd,
            env={**environ, **(extra_environment or {})},
            check=False,
        )
    except FileNotFoundError as error:
        raise Unavailable(f"the program {argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise HostFault(f"{' '.join(argv[:3])} did not end within {timeout_s:.0f} s") from error
    if done.returncode not in fine:
        tail = done.stderr.decode(errors="replace").strip()[-ERROR_TAIL:]
        raise HostFault(f"{' '.join(argv[:3])} ended with {done.returncode}: {tail}")
    return done.stdout
