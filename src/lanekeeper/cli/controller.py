"""A whole controller, put together: database, use-cases, faces, sockets."""

from __future__ import annotations

import contextlib
import re
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp

from lanekeeper.api.agent.face import FACE as AGENT
from lanekeeper.api.agent.face import authenticator
from lanekeeper.api.app import Authenticate, application, bearer
from lanekeeper.api.compute.face import FACE as COMPUTE
from lanekeeper.api.controller.face import FACE as CONTROLLER
from lanekeeper.api.controller.face import authenticator as controllers
from lanekeeper.api.identity.face import FACE as IDENTITY
from lanekeeper.api.image.face import FACE as IMAGE
from lanekeeper.api.lanekeeper.face import FACE as OWN
from lanekeeper.api.network.face import FACE as NETWORK
from lanekeeper.api.placement.face import FACE as PLACEMENT
from lanekeeper.api.policy import Enforcer
from lanekeeper.api.root.health import routes
from lanekeeper.cli.listen import Listen
from lanekeeper.cli.serving import Door, read_metrics_token, serving, settings
from lanekeeper.cli.state_dir import owned
from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.caller import Caller
from lanekeeper.control.host.health import REVIEW_EVERY_S, Reviews
from lanekeeper.control.host.heartbeat import FLUSH_EVERY_S, Heartbeats
from lanekeeper.control.housekeeping import TIDY_EVERY_S, TRIM_EVERY_S, recover, tidy, trim
from lanekeeper.control.identity.authority import write_server_files
from lanekeeper.control.identity.bootstrap import bootstrap, write_credentials
from lanekeeper.control.identity.private_file import write_private
from lanekeeper.control.identity.token import authenticate_token
from lanekeeper.control.image.copy import introduce
from lanekeeper.control.network.guard_watch import LOOK_EVERY_S as GUARDS_EVERY_S
from lanekeeper.control.network.guard_watch import GuardWatch
from lanekeeper.control.periodic import Periodic
from lanekeeper.control.site import Site
from lanekeeper.control.watch import LOOK_EVERY_S, Watch
from lanekeeper.domain.errors import Invalid, Unavailable
from lanekeeper.lab.wire import CONTROLLER_ADDRESS
from lanekeeper.store.database import Database
from lanekeeper.store.kind import Kind
from lanekeeper.store.schema import upgrade

log = structlog.get_logger("lanekeeper.controller")

_ID = "controller-id"
_NAME = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
FACES = (AGENT, IDENTITY, COMPUTE, NETWORK, IMAGE, PLACEMENT, OWN, CONTROLLER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a controller is started with."""

    state_dir: Path
    config: Config
    listen: tuple[Listen, ...]
    database_url: str = ""
    policy_file: Path | None = None
    names: tuple[str, ...] = ()

    @property
    def url_of_database(self) -> str:
        return self.database_url or f"sqlite:///{self.state_dir / 'lanekeeper.db'}"


@dataclass(frozen=True, slots=True)
class Controller:
    """One that answers."""

    site: Site
    listens: tuple[Listen, ...]
    enforcer: Enforcer
    first_start: bool
    authority: Path | None

    @property
    def url(self) -> str:
        """The first address listened on, which clients are told."""
        return self.listens[0].url

    def take(self, config: Config, policy_file: Path | None) -> None:
        """Go on with *config*, and the rules of *policy_file* as they are now.

        Raises:
            Invalid: the policy file is not right; nothing has changed.
        """
        self.enforcer.load(policy_file)
        self.site.config = config


@contextmanager
def controller(options: Options) -> Iterator[Controller]:
    """Start a controller and stop it at the end; it answers before this yields.

    Raises:
        Conflict: another controller works with the state directory.
        Invalid: policy file, state directory, database URL, listen address, database revision.
        Unavailable: the database or an address cannot be had.
    """
    new_defaults = options.config.placement.enforce_new_defaults
    # Before anything is made.
    enforcer = Enforcer(FACES, options.policy_file, new_defaults=new_defaults)
    with contextlib.ExitStack() as stack:
        stack.enter_context(owned(options.state_dir))
        database = stack.enter_context(Database(options.url_of_database))
        upgrade(database.engine, kind=Kind.CONTROLLER)
        site = Site(
            database=database,
            config=options.config,
            clock=utc_now,
            state_dir=options.state_dir,
            controller_id=_controller_id(options.state_dir),
        )
        made = bootstrap(site)
        bound = [listen.bind() for listen in options.listen]
        listens = tuple(listen for listen, _ in bound)
        files = write_server_files(site, _names(options, listens)) if _tls(listens) else None
        write_credentials(site, made, listens[0].url, files.authority if files else None)
        introduce(site, _url_for_others(options, listens))
        recover(site)
        heartbeats = Heartbeats(database, utc_now)
        for work in _rounds(site, heartbeats):
            stack.enter_context(work)
        stack.callback(_last_heartbeats, heartbeats)
        app = _application(site, heartbeats, enforcer)
        doors = [Door(settings(app, listen, files), opened) for listen, opened in bound]
        stack.enter_context(serving(doors, partial(_part, site)))
        log.info("controller.started", url=listens[0].url, outcome="ok")
        authority = files.authority if files else None
        yield Controller(site, listens, enforcer, made is not None, authority)
        log.info("controller.stopping", outcome="ok")


def _rounds(site: Site, heartbeats: Heartbeats) -> Iterator[Periodic]:
    yield Periodic("heartbeats", FLUSH_EVERY_S, heartbeats.flush)
    yield Periodic("housekeeping", TIDY_EVERY_S, partial(tidy, site))
    yield Periodic("change_log", TRIM_EVERY_S, partial(trim, site))
    yield Periodic("health", REVIEW_EVERY_S, Reviews(site).review)
    yield Periodic("guards", GUARDS_EVERY_S, GuardWatch(site).look)
    watch = Watch(site)
    if watch.is_needed:
        yield Periodic("watch", LOOK_EVERY_S, watch.look)


def _last_heartbeats(heartbeats: Heartbeats) -> None:
    """Write what was heard; a database that is away is no reason to end in disorder."""
    try:
        heartbeats.flush()
    except Unavailable as error:
        log.warning("heartbeats.lost", error=str(error), outcome="no host counts as down for it")


def _part(site: Site) -> None:
    """Let go of all who wait inside."""
    site.bells.close()
    site.fetches.close()


def _controller_id(state_dir: Path) -> str:
    """Whose images those in *state_dir* are, among controllers on one database.

    Raises:
        Invalid: the file that says so does not.
    """
    path = state_dir / _ID
    if not path.exists():
        write_private(path, f"{uuid.uuid4()}\n".encode())
    text = path.read_text(errors="replace").strip()
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise Invalid(
            f"{path} should hold this controller's UUID, not {text[:60]!r}",
            hint="remove the file and start again: another id is made, and the images are noted",
        ) from error


def _url_for_others(options: Options, listens: Sequence[Listen]) -> str:
    """Where other controllers reach this one: HTTPS from elsewhere, or loopback on this machine."""
    best = min(listens, key=lambda listen: (listen.is_loopback, not listen.tls))
    if not best.is_wildcard:
        return best.url
    return replace(best, host=options.names[0] if options.names else _machine()).url


def _machine() -> str:
    """This machine's name, where a certificate can hold it."""
    name = socket.gethostname()
    return name if _NAME.fullmatch(name) else "localhost"


def _tls(listens: Sequence[Listen]) -> bool:
    return any(listen.tls for listen in listens)


def _names(options: Options, listens: Sequence[Listen]) -> list[str]:
    """What the certificate is good for: also the name under which a lab host finds us."""
    listened = [listen.host for listen in listens if listen.tls]
    anywhere = [_machine()] if any(listen.is_wildcard for listen in listens) else []
    return [*options.names, *listened, *anywhere, "localhost", CONTROLLER_ADDRESS]


def _application(site: Site, heartbeats: Heartbeats, enforcer: Enforcer) -> ASGIApp:
    def user(request: Request, request_id: str) -> Caller:
        return authenticate_token(site, bearer(request), request_id)

    authenticate: dict[str, Authenticate] = {
        "": user,
        AGENT.name: authenticator(site, heartbeats),
        CONTROLLER.name: controllers(site),
    }
    rest = routes(site, read_metrics_token(site.config.lanekeeper.metrics_token_file))
    return application(site, FACES, authenticate, enforcer, rest)
