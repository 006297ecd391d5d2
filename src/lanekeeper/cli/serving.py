"""What every program that serves needs: doors that are answered on, a database, a signal to end."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
import uvicorn
from starlette.types import ASGIApp

from lanekeeper.cli.database import read_url
from lanekeeper.cli.listen import Listen
from lanekeeper.config import Config
from lanekeeper.config.file import read_text
from lanekeeper.control.identity.authority import ServerFiles
from lanekeeper.domain.errors import Invalid, Unavailable
from lanekeeper.store.engine import parse_url, sqlite_path

_START_WITHIN_S = 30
_PARTING_S = 5
_COLLECT_AT = (50_000, 20, 50)
"""New objects until the youngest are looked at, and so often until older ones are."""


def settings(app: ASGIApp, listen: Listen, files: ServerFiles | None) -> uvicorn.Config:
    """What a door answers with; *files* are needed where it speaks TLS."""
    tls = listen.tls and files is not None
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_PARTING_S,
        ssl_certfile=str(files.certificate) if tls and files else None,
        ssl_keyfile=str(files.key) if tls and files else None,
    )


class Door:
    """One address that is answered on."""

    def __init__(self, settings: uvicorn.Config, opened: socket.socket) -> None:
        self._server = uvicorn.Server(settings)
        self._socket = opened

    @property
    def is_open(self) -> bool:
        return self._server.started

    async def serve(self) -> None:
        await self._server.serve(sockets=[self._socket])

    def close(self) -> None:
        self._server.should_exit = True


@contextmanager
def serving(doors: Sequence[Door], parting: Callable[[], None]) -> Iterator[None]:
    """Answer on a thread of its own, so that signals stay with whoever started this.

    *parting* is called at the end, before the doors close: it lets go of who waits inside.
    """
    _spare_the_collector()

    async def serve() -> None:
        await asyncio.gather(*(door.serve() for door in doors))

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="http", daemon=True)
    thread.start()
    try:
        _await_open(doors, thread)
        yield
    finally:
        parting()
        for door in doors:
            door.close()
        thread.join(_PARTING_S * 2)


def _spare_the_collector() -> None:
    """Let the cycle collector pass over what lives as long as the process, and come seldom.

    An answer of a few thousand small objects would make it look at all objects several times,
    which costs more than making the answer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AT)


def _await_open(doors: Sequence[Door], thread: threading.Thread) -> None:
    ticks = threading.Event()
    for _ in range(_START_WITHIN_S * 50):
        if all(door.is_open for door in doors):
            return
        if not thread.is_alive():
            break
        ticks.wait(0.02)
    raise Unavailable("the HTTP server did not start; the log above says why")


# The command line ---------------------------------------------------------------------------------


def database_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--database-url`` and ``--database-url-file``."""
    database = parser.add_mutually_exclusive_group()
    database.add_argument("--database-url", default="", metavar="URL", help="without a password")
    database.add_argument("--database-url-file", type=Path, metavar="FILE")


def database_url(arguments: argparse.Namespace, config: Config) -> str:
    """Return the URL that the command line or the configuration names, or nothing.

    Raises:
        Invalid: it is where everybody sees its password, or its file cannot be read.
    """
    if arguments.database_url:
        if _has_password(arguments.database_url):
            raise Invalid(
                "--database-url holds a password, which everybody sees in the process list",
                hint="write the URL to a file of mode 0600 and name it: --database-url-file FILE",
            )
        return _refuse_memory(str(arguments.database_url))
    path = arguments.database_url_file or config.lanekeeper.database_url_file
    if path is None:
        return ""
    return _refuse_memory(read_url(Path(path)))


def _refuse_memory(url: str) -> str:
    """Return *url*; raises Invalid for a database that ends with the connection to it."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and sqlite_path(parsed) is None:
        raise Invalid(
            f"database {url!r} is kept in memory, where a controller cannot work with it",
            hint="name a file: sqlite:////PATH",
        )
    return url


def read_metrics_token(path: str) -> str:
    """Read the token for ``/metrics``; empty for none.

    Raises:
        Invalid: the file cannot be read, or holds no token that a header can carry.
    """
    if not path:
        return ""
    name = "[lanekeeper] metrics_token_file"
    try:
        token = read_text(Path(path)).strip()
    except Invalid as error:
        raise Invalid(f"{name}: {error}") from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Invalid(f"{name}: {path} must hold one line with a token of visible characters")
    return token


def _has_password(url: str) -> bool:
    try:
        return sa.make_url(url).password is not None
    except (sa.exc.ArgumentError, ValueError):
        return False  # the database says what is wrong with it


@contextmanager
def until_told() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and SIGINT set; a second one kills as usual.

    SIGUSR2 has the program say on its standard error what each of its threads is doing.
    """
    told = threading.Event()
    faulthandler.register(signal.SIGUSR2)

    def tell(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        told.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        faulthandler.unregister(signal.SIGUSR2)
