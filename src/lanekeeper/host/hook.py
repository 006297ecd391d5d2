"""Running a program of the operator's so that it can neither hang, flood nor outstay its welcome.

Its environment is what it is given and nothing of ours, it reads nothing, what it prints is
bounded, and when it ends, or its time does, everything that it started is killed with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.run import Terms, run

OUTPUT_BYTES = 64 * 1024
_TOLD = 200


def run_hook(arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> str:
    """Run a program of the operator's; returns the last line that it printed, cut at 200.

    Raises as ``run_bounded``.
    """
    return _last_line(run_bounded(arguments, environment, timeout_s))


def run_bounded(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    timeout_s: float,
    *,
    errors_apart: bool = False,
) -> bytes:
    """Run a program to its end; returns what it printed.

    *errors_apart* leaves out what it says on standard error, unless it fails.

    Raises:
        HostFault: it could not be started, failed, took too long, or printed too much.
    """
    name = arguments[0]
    terms = Terms(
        timeout_s=timeout_s,
        output_bytes=OUTPUT_BYTES,
        environment=environment,
        joins_errors=not errors_apart,
        is_confined=True,
    )
    try:
        ended = run(arguments, name, terms)
    except OSError as error:
        reason = error.strerror or str(error)
        raise HostFault(f"{name} could not be started: {reason}") from error
    if ended.code:
        how = f"exit code {ended.code}" if ended.code > 0 else f"signal {-ended.code}"
        last = _last_line(ended.errors if errors_apart else ended.output)
        raise HostFault(f"{name} failed with {how}: {last or 'it printed nothing'}")
    return ended.output


def _last_line(output: bytes) -> str:
    return output.decode("utf-8", "replace").strip().rpartition("\n")[2][:_TOLD]
