"""``lanekeeper agent``: make this machine a controller's host, and serve as one."""

from __future__ import annotations

import argparse
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from lanekeeper.agent.client import REFUSED, Client
from lanekeeper.agent.enrolment import enrol, rotate
from lanekeeper.agent.loop import Agent
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.real import SYSTEM_URI, real_agent
from lanekeeper.agent.state_dir import StateDir, not_enrolled
from lanekeeper.cli import agent_fleet, exit_code, logs
from lanekeeper.cli.host.captured import captured_text
from lanekeeper.cli.reload import hangups, reread
from lanekeeper.config import Config, change, load
from lanekeeper.config.file import read_text
from lanekeeper.domain.errors import Conflict, Error, Invalid, Unauthenticated
from lanekeeper.protocol import TURNED

log = structlog.get_logger()

DEFAULT_STATE = Path("/var/lib/lanekeeper/agent")
_VIRT_TYPES = {"auto": None, "kvm": True, "qemu": False}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``agent`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("agent", help="serve as a controller's host")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    enroll = verbs.add_parser("enroll", help="exchange a one-time token for a credential")
    _state_dir(enroll)
    enroll.add_argument("--controller", required=True, metavar="URL", help="https://HOST:PORT")
    token = enroll.add_mutually_exclusive_group(required=True)
    token.add_argument("--token", help="as the controller printed it; good once")
    token.add_argument("--token-file", type=Path, metavar="FILE", help="file that holds it")
    enroll.add_argument("--host-name", default="", help="name of this host; its own where unset")
    enroll.set_defaults(handler=run_enroll)
    rotate = verbs.add_parser("rotate", help="exchange the credential; a running agent goes on")
    _state_dir(rotate)
    rotate.set_defaults(handler=run_rotate)
    run = verbs.add_parser("run", help="serve until SIGTERM; guests run on after it")
    _state_dir(run)
    run.add_argument(
        "--config-file",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="nova.conf, sriov_agent.ini; says which devices may be touched; repeats",
    )
    run.add_argument("--libvirt-uri", default=SYSTEM_URI, metavar="URI")
    run.add_argument(
        "--virt-type", choices=_VIRT_TYPES, default="auto", help="auto asks libvirt for KVM"
    )
    run.add_argument("--simulate", action="store_true", help="a simulated host, for trying out")
    run.add_argument("--tree", type=Path, metavar="CAPTURED", help="what --simulate looks like")
    run.add_argument("--log-level", choices=logs.LEVELS, default="info")
    run.set_defaults(handler=run_run)
    agent_fleet.register_verbs(verbs)


def _state_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-dir", type=Path, default=DEFAULT_STATE, help=f"the agent's own ({DEFAULT_STATE})"
    )


def run_enroll(arguments: argparse.Namespace) -> int:
    """Enrol this host."""
    token = _token(arguments)
    state = StateDir(arguments.state_dir.absolute())
    name = arguments.host_name or _own_name()
    try:
        enrol(state, arguments.controller, token, name)
    except (Conflict, Invalid, Unauthenticated) as error:
        if arguments.host_name or not str(error).startswith(REFUSED):
            raise  # what the name has nothing to do with
        named = f"it asked as {name}, as this machine calls itself; --host-name gives another name"
        raise type(error)(
            str(error), hint=f"{error.hint}; {named}" if error.hint else named
        ) from error
    print(f"enrolled {name} ({state.host_id()}) with {arguments.controller}")
    return exit_code.DONE


def _own_name() -> str:
    """What this machine calls itself.

    Raises:
        Invalid: that tells it from no other one.
    """
    name = socket.gethostname()
    if name.partition(".")[0] in ("", "localhost"):
        raise Invalid(
            f"this machine calls itself {name!r}, as others do",
            hint="name the host as the controller is to know it: --host-name NAME",
        )
    return name


def run_rotate(arguments: argparse.Namespace) -> int:
    """Give this host a new credential."""
    state = _enrolled(arguments)
    rotate(state)
    print(f"{state.enrolled().host_name} has a new credential; the old one is worth nothing now")
    return exit_code.DONE


def _enrolled(arguments: argparse.Namespace) -> StateDir:
    """The directory of an enrolled host; where there is none, none is made.

    Raises:
        Invalid: no host was enrolled with it.
    """
    path = arguments.state_dir.absolute()
    if not path.is_dir():
        raise not_enrolled(path)
    state = StateDir(path)
    state.enrolled()
    return state


def _token(arguments: argparse.Namespace) -> str:
    if arguments.token is not None:
        return str(arguments.token)
    return read_text(arguments.token_file).strip()


def run_run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    state = _enrolled(arguments)
    logs.set_up(arguments.log_level)
    state.lock()  # held until the process ends
    config = _config(arguments)
    policy = Policy.of(config)
    agent, client = (
        _simulated(arguments, state, policy)
        if arguments.simulate
        else real_agent(
            state,
            policy,
            libvirt_uri=arguments.libvirt_uri,
            kvm=_VIRT_TYPES[arguments.virt_type],
        )
    )
    _check(agent, policy)
    with _stopped_by_signals(agent), hangups() as again:
        again.each(_Rereading(arguments, agent, config))
        agent.run()
    client.close()
    return exit_code.DONE


def _check(agent: Agent, policy: Policy) -> None:
    """Hold the configuration against what the controller knows; what else is wrong is no reason
    not to serve, and is told by the agent as it goes on.

    Raises:
        Conflict: it turns a card under a guest.
    """
    try:
        agent.check(policy)
    except Error as error:
        if error.code == TURNED:
            raise
        log.warning("agent check", outcome="failed", error=str(error))


@dataclass(slots=True)
class _Rereading:
    """Has the agent go on with its files as they are now; without files nothing can change."""

    arguments: argparse.Namespace
    agent: Agent
    config: Config

    def __call__(self) -> None:
        reread(self.arguments.config_file, self.config, change.AGENT, self._take)

    def _take(self, config: Config) -> None:
        policy = Policy.of(config)
        self.agent.check(policy)
        self.agent.obey(policy)
        self.config = config


def _config(arguments: argparse.Namespace) -> Config:
    """Read the files; without any, a real host lists nothing, a simulated one the sample's."""
    if not arguments.config_file and not arguments.simulate:
        return Config()
    return load(arguments.config_file).config


def _simulated(
    arguments: argparse.Namespace, state: StateDir, policy: Policy
) -> tuple[Agent, Client]:
    from lanekeeper.agent.simulated import simulated_agent

    tree = captured_text(arguments.tree) if arguments.tree else None
    return simulated_agent(state, policy, tree=tree)


@contextmanager
def _stopped_by_signals(agent: Agent) -> Iterator[None]:
    """Let SIGTERM and SIGINT end *agent*; a second one kills as usual."""

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        agent.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
