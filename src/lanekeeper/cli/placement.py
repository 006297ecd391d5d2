"""``lanekeeper placement``: Placement alone, for clouds whose other services are elsewhere."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog
from starlette.types import ASGIApp

from lanekeeper.api.app import Authenticate, application
from lanekeeper.api.cors import CrossOrigin
from lanekeeper.api.placement.auth import by_its_word, by_keystone
from lanekeeper.api.placement.face import FACE
from lanekeeper.api.policy import Enforcer
from lanekeeper.api.root.health import operating_routes
from lanekeeper.cli import logs
from lanekeeper.cli.exit_code import DONE
from lanekeeper.cli.listen import Listen
from lanekeeper.cli.reload import hangups, reread
from lanekeeper.cli.serving import (
    Door,
    database_arguments,
    database_url,
    read_metrics_token,
    serving,
    settings,
    until_told,
)
from lanekeeper.cli.state_dir import PLACEMENT, owned
from lanekeeper.clock import utc_now
from lanekeeper.config import Config, change, load
from lanekeeper.control.housekeeping import TRIM_EVERY_S, trim
from lanekeeper.control.identity.authority import write_server_files
from lanekeeper.control.identity.outside import Outside
from lanekeeper.control.periodic import Periodic
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
from lanekeeper.store.database import Database
from lanekeeper.store.kind import Kind
from lanekeeper.store.schema import upgrade

log = structlog.get_logger("lanekeeper.placement")

DEFAULT_LISTEN = "127.0.0.1:8778"
"""Source: the port of Placement in OpenStack's installation guides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What it is started with."""

    state_dir: Path
    config: Config
    listen: tuple[Listen, ...]
    database_url: str = ""
    policy_file: Path | None = None
    names: tuple[str, ...] = ()

    @property
    def url_of_database(self) -> str:
        return (
            self.database_url
            or self.config.placement.connection
            or f"sqlite:///{self.state_dir / 'placement.db'}"
        )


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``placement``."""
    parser = subparsers.add_parser(
        "placement",
        help="Placement's API alone, with its own database",
        description="Serves Placement 1.0 to 1.39 to other services. Prints 'ready URL' once it "
        "answers; SIGHUP has it read its files again, SIGTERM ends it. Exit code 0: ended as told. "
        "2: wrong options or files. 3: something needed is away.",
    )
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help=f"private ({PLACEMENT.path})")
    parser.add_argument(
        "--listen",
        action="append",
        metavar="[http[s]://]HOST:PORT",
        help=f"where to answer ({DEFAULT_LISTEN}); repeats; plain HTTP on loopback only",
    )
    parser.add_argument(
        "--config-file",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="placement.conf; repeats",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a further name or address for the HTTPS certificate; repeats",
    )
    database_arguments(parser)
    parser.add_argument("--policy-file", type=Path, metavar="FILE", help="oslo.policy rules")
    parser.add_argument("--log-level", choices=logs.LEVELS, default="info")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    logs.set_up(arguments.log_level)
    loaded = load(arguments.config_file)
    for warning in loaded.warnings:
        log.warning("config.noticed", outcome=warning)
    config = loaded.config
    options = Options(
        state_dir=PLACEMENT.chosen(arguments.state_dir),
        config=config,
        listen=tuple(Listen.parse(text) for text in arguments.listen or [DEFAULT_LISTEN]),
        database_url=database_url(arguments, config),
        policy_file=_policy_file(arguments, config),
        names=tuple(arguments.name),
    )
    with until_told() as told, hangups() as again, placement(options) as running:
        again.each(partial(_reread, arguments, running))
        print(f"ready {running.listens[0].url}", flush=True)
        told.wait()
    return DONE


def _policy_file(arguments: argparse.Namespace, config: Config) -> Path | None:
    if arguments.policy_file is not None:
        return Path(arguments.policy_file).absolute()
    return Path(config.rules.policy_file) if config.rules.policy_file else None


@dataclass(frozen=True, slots=True)
class Running:
    """A Placement that answers."""

    site: Site
    listens: tuple[Listen, ...]
    enforcer: Enforcer


def _reread(arguments: argparse.Namespace, running: Running) -> None:
    """Go on with the files as they are now."""

    def take(config: Config) -> None:
        running.enforcer.load(_policy_file(arguments, config))
        running.site.config = config

    reread(arguments.config_file, running.site.config, change.PLACEMENT, take)


@contextmanager
def placement(options: Options) -> Iterator[Running]:
    """Start Placement and stop it at the end; it answers before this yields where it does.

    Raises:
        Conflict: another process works with the state directory.
        Invalid: database URL, policy file, or a way to know who asks that is not safe here.
        Unavailable: the database or an address cannot be had.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(owned(options.state_dir))
        authenticate = _authenticate(options)
        enforcer = Enforcer(
            [FACE],
            options.policy_file,
            new_defaults=options.config.placement.enforce_new_defaults,
        )
        database = stack.enter_context(Database(options.url_of_database))
        upgrade(database.engine, kind=Kind.PLACEMENT)
        site = Site(
            database=database, config=options.config, clock=utc_now, state_dir=options.state_dir
        )
        bound = [listen.bind() for listen in options.listen]
        listens = tuple(listen for listen, _ in bound)
        tls = [listen.host for listen in listens if listen.tls]
        files = write_server_files(site, [*options.names, *tls, "localhost"]) if tls else None
        stack.enter_context(Periodic("change_log", TRIM_EVERY_S, partial(trim, site)))
        app = _application(site, authenticate, enforcer)
        doors = [Door(settings(app, listen, files), opened) for listen, opened in bound]
        stack.enter_context(serving(doors, site.bells.close))
        log.info("placement.started", url=listens[0].url, outcome="ok")
        yield Running(site, listens, enforcer)
        log.info("placement.stopping", outcome="ok")


def _authenticate(options: Options) -> Authenticate:
    if options.config.placement.auth_strategy == "keystone":
        return by_keystone(Outside(options.config.keystone, utc_now))
    for listen in options.listen:
        if not listen.is_loopback:
            raise Invalid(
                f"{listen.url}: with [api] auth_strategy = noauth2 everybody who reaches this "
                "address is whom they say",
                hint="listen on 127.0.0.1, or set auth_strategy = keystone",
            )
    return by_its_word


def _application(site: Site, authenticate: Authenticate, enforcer: Enforcer) -> ASGIApp:
    """Answer below the path that catalogs name, and at the root as Placement itself does."""
    faces = [FACE, replace(FACE, prefix="")]
    keystone = site.config.keystone
    outside = site.config.placement.auth_strategy == "keystone"
    identity = keystone.www_authenticate_uri or keystone.auth_url if outside else ""
    token = read_metrics_token(site.config.lanekeeper.metrics_token_file)
    rest = operating_routes(site, token)
    app = application(site, faces, {"": authenticate}, enforcer, rest, identity=identity)
    cors = site.config.cors
    return CrossOrigin(app, cors) if cors.allowed_origin else app
