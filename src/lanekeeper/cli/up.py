"""``lanekeeper up`` and ``lanekeeper controller``: start, say ``ready URL``, serve till SIGTERM."""

from __future__ import annotations

import argparse
import socket
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog

from lanekeeper.agent.enrolment import enrol
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.real import real_agent
from lanekeeper.agent.simulated import RunningHost, host_names, run_simulated
from lanekeeper.agent.state_dir import StateDir
from lanekeeper.cli import logs
from lanekeeper.cli.controller import Controller, Options, controller
from lanekeeper.cli.exit_code import DONE
from lanekeeper.cli.host.captured import captured_text
from lanekeeper.cli.listen import Listen
from lanekeeper.cli.reload import hangups, reread
from lanekeeper.cli.serving import database_arguments, database_url, until_told
from lanekeeper.cli.state_dir import CONTROLLER
from lanekeeper.config import Config, change, load
from lanekeeper.control.host.enrolment import create_token
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid, Unavailable
from lanekeeper.store.host.host import host_list

log = structlog.get_logger("lanekeeper.up")

_CODES = (
    "Exit code 0: ended as told. 1: another controller works with the directory. 2: wrong options "
    "or files. 3: something needed is away."
)
SIMULATED_MAX = 1000
_REPORT_WITHIN_S = 60


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``up`` and ``controller``."""
    up = subparsers.add_parser(
        "up",
        help="controller and agent on this machine",
        description="Serves all faces, and has this machine, or simulated ones, as host. Prints "
        f"'ready URL' once hosts have reported; SIGTERM ends it. {_CODES}",
    )
    _common(up)
    up.add_argument(
        "--simulate", type=int, metavar="N", help="N simulated hosts, sim-1 to sim-N, instead"
    )
    up.add_argument(
        "--tree", type=Path, metavar="CAPTURED", help="captured machine that they all look like"
    )
    up.set_defaults(handler=run_up)
    alone = subparsers.add_parser(
        "controller",
        help="the controller alone; agents come to it",
        description="Serves all faces; hosts come in by lanekeeper agent. Prints 'ready URL' once "
        "it answers; SIGHUP has it read its files again, SIGUSR2 tell what its threads do, SIGTERM "
        f"ends it. {_CODES}",
    )
    _common(alone)
    alone.set_defaults(handler=run_controller)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir", type=Path, metavar="DIR", help=f"private ({CONTROLLER.path})"
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="[http[s]://]HOST:PORT",
        help="where to answer; repeats; plain HTTP on loopback only; port 0 takes a free one",
    )
    parser.add_argument(
        "--config-file",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="nova.conf, ml2_conf.ini, sriov_agent.ini, custom.yml; repeats",
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


def run_controller(arguments: argparse.Namespace) -> int:
    """Serve alone until SIGTERM or SIGINT."""
    options = _options(arguments)
    with until_told() as told, hangups() as again, controller(options) as running:
        again.each(partial(_reread, arguments, running, ()))
        _tell(running, options)
        told.wait()
    return DONE


def run_up(arguments: argparse.Namespace) -> int:
    """Serve with agents on this machine until SIGTERM or SIGINT."""
    if arguments.simulate is not None and not 1 <= arguments.simulate <= SIMULATED_MAX:
        raise Invalid(f"--simulate is 1 to {SIMULATED_MAX}, not {arguments.simulate}")
    tree = captured_text(arguments.tree) if arguments.tree else None
    options = _options(arguments)
    if all(listen.tls for listen in options.listen):
        raise Invalid(
            "the agent on this machine talks plain HTTP on loopback, where nobody listens",
            hint="add --listen 127.0.0.1:0",
        )
    with until_told() as told, hangups() as again, controller(options) as running:
        if arguments.simulate is None:
            hosts = [_real_host(running, options)]
        else:
            hosts = _simulate(running, options, arguments.simulate, tree)
        try:
            for host in hosts:
                host.check(Policy.of(options.config))
            _await_reports(running.site, [host.name for host in hosts])
            again.each(partial(_reread, arguments, running, hosts))
            _tell(running, options)
            told.wait()
        finally:
            for host in hosts:
                host.stop()
            running.site.bells.close()
            for host in hosts:
                host.join()
    return DONE


def _reread(
    arguments: argparse.Namespace, running: Controller, hosts: Sequence[RunningHost]
) -> None:
    """Go on with the files as they are now, here and in the agents of this process."""

    def take(config: Config) -> None:
        policy = Policy.of(config)
        for host in hosts:
            host.check(policy)
        running.take(config, _policy_file(arguments, config))
        for host in hosts:
            host.obey(policy)

    program = change.UP if hosts else change.CONTROLLER
    reread(arguments.config_file, running.site.config, program, take)


def _options(arguments: argparse.Namespace) -> Options:
    logs.set_up(arguments.log_level)
    loaded = load(arguments.config_file)
    for warning in loaded.warnings:
        log.warning("config.noticed", outcome=warning)
    listen = arguments.listen or loaded.config.lanekeeper.listen
    return Options(
        state_dir=CONTROLLER.chosen(arguments.state_dir),
        config=loaded.config,
        listen=tuple(Listen.parse(text) for text in listen),
        database_url=database_url(arguments, loaded.config),
        policy_file=_policy_file(arguments, loaded.config),
        names=tuple(arguments.name),
    )


def _policy_file(arguments: argparse.Namespace, config: Config) -> Path | None:
    if arguments.policy_file is not None:
        return Path(arguments.policy_file).absolute()
    return Path(config.rules.policy_file) if config.rules.policy_file else None


def _simulate(
    running: Controller, options: Options, count: int, tree: str | None
) -> list[RunningHost]:
    return run_simulated(
        host_names(count),
        _plain_url(running),
        partial(create_token, running.site),
        options.state_dir / "hosts",
        Policy.of(options.config),
        tree=tree,
    )


def _real_host(running: Controller, options: Options) -> RunningHost:
    """This very machine's agent, enrolled on the first start.

    Raises:
        Unavailable: libvirt is not there; the hint says what to do without.
    """
    state = StateDir(options.state_dir / "agent")
    name = options.config.compute.host or socket.gethostname()
    url = _plain_url(running)
    if not state.is_enrolled():
        enrol(state, url, create_token(running.site, name), name)
    try:
        agent, client = real_agent(state, Policy.of(options.config))
    except Unavailable as error:
        raise Unavailable(
            f"this machine cannot be a host: {error}",
            hint="try simulated ones: lanekeeper up --simulate 1; or the controller alone: "
            "lanekeeper controller",
        ) from error
    return RunningHost(name, agent, client)


def _plain_url(running: Controller) -> str:
    return next(listen.url for listen in running.listens if not listen.tls)


def _await_reports(site: Site, names: Sequence[str]) -> None:
    """Wait until every host has told of itself, so that ``ready`` means that servers fit."""
    pause = threading.Event()
    for _ in range(_REPORT_WITHIN_S * 20):
        with site.database.read() as connection:
            told = {host.name for host in host_list(connection) if host.facts_at is not None}
        if told >= set(names):
            return
        pause.wait(0.05)
    missing = ", ".join(sorted(set(names) - told))
    raise Unavailable(f"hosts did not report within {_REPORT_WITHIN_S} s: {missing}")


def _tell(running: Controller, options: Options) -> None:
    """Say where, and on the first start what to type next."""
    print(f"ready {running.url}", flush=True)
    if running.first_start:
        home = options.state_dir
        print(
            f"  export OS_CLIENT_CONFIG_FILE={home}/clouds.yaml OS_CLOUD=lanekeeper\n"
            f"  openstack resource provider list      # or: source {home}/openrc",
            flush=True,
        )
