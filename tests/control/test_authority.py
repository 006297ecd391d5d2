"""The installation's own certificate authority, proved by a real TLS handshake."""

import hashlib
import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.identity.authority import (
    ServerFiles,
    issue_server_certificate,
    make_authority,
    open_authority,
    write_server_files,
)
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
from lanekeeper.store.database import Database

pytestmark = pytest.mark.service


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    with Database(database_url) as database:
        yield Site(database=database, config=Config(), clock=utc_now, state_dir=tmp_path / "state")


def shake_hands(files: ServerFiles, host_name: str) -> bytes:
    """Return the DER of the server's certificate, seen by a client that trusts the CA alone."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    client = ssl.create_default_context(cafile=str(files.authority))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as wrapped:
                wrapped.recv(1)
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=host_name) as wrapped:
            seen = wrapped.getpeercert(binary_form=True)
    finally:
        ours.close()
        thread.join(10)
    assert seen is not None
    return seen


def test_the_first_start_makes_it_and_every_later_one_reads_it(site: Site) -> None:
    first = open_authority(site)
    assert open_authority(site) == first
    der = ssl.PEM_cert_to_DER_cert(first.certificate_pem)
    assert first.fingerprint == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("host_name", ["127.0.0.1", "::1", "controller.example"])
def test_clients_that_trust_it_reach_a_server_by_each_of_its_names(
    site: Site, host_name: str
) -> None:
    files = write_server_files(site, ["127.0.0.1", "::1", "controller.example"])
    assert shake_hands(files, host_name)
    for path in (files.certificate, files.key, files.authority):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_name_is_refused_by_the_client(site: Site) -> None:
    files = write_server_files(site, ["127.0.0.1"])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(files, "192.0.2.7")


@pytest.mark.parametrize("names", [[], ["not a name"], ["a..b"], ["ä.example"]])
def test_names_that_no_certificate_can_carry_are_named(names: list[str]) -> None:
    with pytest.raises(Invalid, match="certificate"):
        issue_server_certificate(make_authority(utc_now()), names, utc_now())
