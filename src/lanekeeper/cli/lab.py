"""``lanekeeper lab``: an emulated SR-IOV host on this machine."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from lanekeeper.cli import exit_code
from lanekeeper.domain.errors import NotFound
from lanekeeper.lab import ending, guest, lab, packages
from lanekeeper.lab.cache import DEFAULT_CACHE, Cache
from lanekeeper.lab.folder import DEFAULT_STATE, LabFolder
from lanekeeper.lab.reboot import reboot
from lanekeeper.lab.status import look

EXIT_TIMED_OUT, EXIT_SIGNAL = 124, 128  # as timeout(1) and shells have them
CACHE_ENVIRONMENT = "LANEKEEPER_LAB_CACHE"
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the noun ``lab`` and its verbs; the chosen handler is ``handler`` of the result."""
    noun = subparsers.add_parser("lab", help="an emulated SR-IOV host on this machine")
    verbs = noun.add_subparsers(dest="verb", required=True, metavar="VERB")
    _register_up(verbs.add_parser("up", help="boot a lab host and wait until it is ready"))
    _register_exec(verbs.add_parser("exec", help="run a command in a lab host"))
    _register_files(verbs)
    status = verbs.add_parser("status", help="say how a lab host is")
    _name_arguments(status)
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(handler=show_status)
    _register_reboot(verbs.add_parser("reboot", help="end a lab host and start it again"))
    down = verbs.add_parser("down", help="end a lab host and remove all of it")
    _name_arguments(down)
    down.set_defaults(handler=down_lab)
    console = verbs.add_parser("console", help="show the lab host's serial console")
    _name_arguments(console)
    console.set_defaults(handler=show_console)
    for verb, handler, text in (
        ("install", install, "install what a lab needs, and unpack its kernel into the cache"),
        ("guest", build_guest, "build the guest image's three files and say where they are"),
    ):
        parser = verbs.add_parser(verb, help=text)
        _cache_argument(parser)
        parser.set_defaults(handler=handler)


def _register_up(parser: argparse.ArgumentParser) -> None:
    _name_arguments(parser)
    _cache_argument(parser)
    wanted = lab.Wanted()
    parser.add_argument(
        "--controller-port",
        type=int,
        default=wanted.controller_port,
        metavar="PORT",
        help="port on this machine's loopback that the lab host finds at 10.0.2.100 (%(default)s)",
    )
    parser.add_argument(
        "--memory", type=int, default=wanted.memory_mib, metavar="MIB", help="MiB (%(default)s)"
    )
    parser.add_argument(
        "--open",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="show DIR to the lab host although it lies in a masked place; may repeat",
    )
    parser.add_argument("--no-libvirt", action="store_true", help="do not start libvirtd in it")
    parser.add_argument(
        "--cable-to",
        metavar="NAME",
        help="cable each card to the same card of lab NAME, which runs",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(handler=up_lab)


def _register_reboot(parser: argparse.ArgumentParser) -> None:
    _name_arguments(parser)
    _cache_argument(parser)
    parser.add_argument("--no-libvirt", action="store_true", help="do not start libvirtd in it")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(handler=reboot_lab)


def _register_exec(parser: argparse.ArgumentParser) -> None:
    _name_arguments(parser)
    parser.add_argument("--stdin", action="store_true", help="pass standard input on")
    parser.add_argument(
        "--timeout", type=float, metavar="S", help="end the command after S seconds, exit 124"
    )
    parser.add_argument(
        "--background", metavar="LOG", help="leave it running; its output goes to LOG in the host"
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    parser.set_defaults(handler=exec_command)


def _register_files(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    put = verbs.add_parser("put", help="write standard input to a file in a lab host")
    get = verbs.add_parser("get", help="write a lab host's file to standard output")
    for parser, handler in ((put, put_file), (get, get_file)):
        _name_arguments(parser)
        parser.add_argument("path", metavar="PATH", help="in the lab host")
        parser.set_defaults(handler=handler)


def _name_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="h1", help="which lab (%(default)s)")
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=DEFAULT_STATE,
        metavar="DIR",
        help="where running labs are kept (%(default)s)",
    )


def _cache_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=Path(os.environ.get(CACHE_ENVIRONMENT, DEFAULT_CACHE)),
        metavar="DIR",
        help="where kernel and images are kept (%(default)s)",
    )


def up_lab(arguments: argparse.Namespace) -> int:
    """Boot a lab host."""
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    wanted = lab.Wanted(
        name=arguments.name,
        controller_port=arguments.controller_port,
        memory_mib=arguments.memory,
        state=arguments.state_dir,
        cache=Cache(arguments.cache_dir.absolute()),
        opened=tuple(path.absolute() for path in arguments.open),
        libvirt=not arguments.no_libvirt,
        cable_to=arguments.cable_to,
    )
    running = lab.up(wanted, _say, os.environ)
    if arguments.json:
        print(json.dumps(asdict(running)))
    return exit_code.DONE


def reboot_lab(arguments: argparse.Namespace) -> int:
    """End a lab host and start it again, as its boot menu says by then."""
    folder = LabFolder(arguments.name, arguments.state_dir)
    cache = Cache(arguments.cache_dir.absolute())
    libvirt = False if arguments.no_libvirt else None
    running = reboot(folder, cache, _say, libvirt=libvirt)
    if arguments.json:
        print(json.dumps(asdict(running)))
    return exit_code.DONE


def exec_command(arguments: argparse.Namespace) -> int:
    """Run a command and end as it ended."""
    channel = lab.channel(arguments.name, arguments.state_dir)
    if arguments.background:
        answer = channel.ask("spawn", argv=arguments.command, log=arguments.background)
        print(answer["pid"])
        return exit_code.DONE
    done = channel.run(
        arguments.command,
        stdin=sys.stdin.buffer if arguments.stdin else b"",
        timeout_s=arguments.timeout,
        output=sys.stdout.buffer,
        errors=sys.stderr.buffer,
    )
    if done.timed_out:
        return EXIT_TIMED_OUT
    return done.returncode if done.returncode >= 0 else EXIT_SIGNAL - done.returncode


def put_file(arguments: argparse.Namespace) -> int:
    """Write standard input to a file in the lab host."""
    channel = lab.channel(arguments.name, arguments.state_dir)
    channel.write(arguments.path, sys.stdin.buffer.read())
    return exit_code.DONE


def get_file(arguments: argparse.Namespace) -> int:
    """Write a file of the lab host to standard output."""
    channel = lab.channel(arguments.name, arguments.state_dir)
    sys.stdout.buffer.write(channel.read(arguments.path))
    return exit_code.DONE


def show_status(arguments: argparse.Namespace) -> int:
    """Say how the lab is; 0 when it runs. Raises Unavailable when its QEMU has ended."""
    found = look(arguments.name, arguments.state_dir)
    if arguments.json:
        print(json.dumps(asdict(found)))
    else:
        print(f"{found.name}  {found.state}")
        if found.running:
            for name, value in asdict(found.running).items():
                print(f"  {name:16} {value}")
    if found.state == "dead":
        raise ending.account(LabFolder(arguments.name, arguments.state_dir))
    return exit_code.DONE if found.state == "running" else exit_code.NO


def down_lab(arguments: argparse.Namespace) -> int:
    """End a lab; there being none is no error."""
    ended = lab.down(arguments.name, arguments.state_dir)
    _say(f"lab {arguments.name} {'has ended' if ended else 'was not there'}")
    return exit_code.DONE


def show_console(arguments: argparse.Namespace) -> int:
    """Print what the lab host wrote to its serial console."""
    folder = LabFolder(arguments.name, arguments.state_dir)
    for path in (folder.qemu_log, folder.console):
        if not path.exists():
            raise NotFound(f"there is no {path}")
        print(path.read_text(encoding="utf-8", errors="replace"), end="")
    return exit_code.DONE


def install(arguments: argparse.Namespace) -> int:
    """Install packages and unpack the lab's kernel."""
    packages.install(Cache(arguments.cache_dir.absolute()), _say)
    return exit_code.DONE


def build_guest(arguments: argparse.Namespace) -> int:
    """Build the guest image's files; print their paths as JSON."""
    image = guest.build(Cache(arguments.cache_dir.absolute()))
    print(json.dumps({name: str(value) for name, value in asdict(image).items()}))
    return exit_code.DONE


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in INTERRUPTS:  # a second one must not end the cleaning up after the first
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
