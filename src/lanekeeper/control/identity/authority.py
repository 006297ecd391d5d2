"""The certificate authority that the installation makes for itself on its first start.

Agents and clients trust it by its fingerprint or by ``ca.pem``; each controller has it sign a
certificate of its own.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lanekeeper.control.identity.private_file import write_private
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
from lanekeeper.store.identity.authority import authority_get, authority_insert

_AUTHORITY_LIFE = timedelta(days=3650)
_SERVER_LIFE = timedelta(days=397)  # some clients refuse more; a new one is made at each start
_SKEW = timedelta(hours=1)  # clocks of hosts that ask may be behind


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA's certificate and key as PEM."""

    certificate_pem: str
    key_pem: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER, lower-case hexadecimal."""
        certificate = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        der = certificate.public_bytes(serialization.Encoding.DER)
        return hashlib.sha256(der).hexdigest()


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """What uvicorn and clients are given."""

    certificate: Path
    key: Path
    authority: Path


def open_authority(site: Site) -> Authority:
    """Return the installation's CA; the first controller ever makes it."""
    with site.database.read() as connection:
        kept = authority_get(connection)
    if kept is not None:
        return Authority(*kept)
    made = make_authority(site.clock())
    try:
        site.database.write(
            lambda connection: authority_insert(connection, made.certificate_pem, made.key_pem)
        )
    except sa.exc.IntegrityError:
        return open_authority(site)  # another controller was first, and has committed
    return made


def make_authority(now: datetime) -> Authority:
    """A new CA, self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lanekeeper CA")])
    certificate = (
        _builder(name, name, key.public_key(), now, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(_certificate_pem(certificate), _key_pem(key))


def issue_server_certificate(
    authority: Authority, names: Iterable[str], now: datetime
) -> tuple[str, str]:
    """Certificate and key, as PEM, for a server that is reached under *names*.

    Args:
        authority: who signs.
        names: DNS names and IP addresses; the first is the subject too.
        now: start of its life, an hour allowed for clocks that are behind.

    Raises:
        Invalid: no name at all, or one that is neither a DNS name nor an address.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        raise Invalid("a server certificate needs at least one DNS name or address")
    parent = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    signer = serialization.load_pem_private_key(authority.key_pem.encode(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted[0][:64])])
    parent_key_id = x509.SubjectKeyIdentifier.from_public_key(signer.public_key())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    certificate = (
        _builder(subject, parent.subject, key.public_key(), now, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in wanted]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(parent_key_id),
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )
    return _certificate_pem(certificate), _key_pem(key)


def write_server_files(site: Site, names: Iterable[str]) -> ServerFiles:
    """Issue a certificate for *names* and leave it with its key and the CA below ``tls``."""
    authority = open_authority(site)
    certificate_pem, key_pem = issue_server_certificate(authority, names, site.clock())
    directory = site.state_dir / "tls"
    files = ServerFiles(directory / "server.pem", directory / "server.key", directory / "ca.pem")
    write_private(files.authority, authority.certificate_pem.encode())
    write_private(files.key, key_pem.encode())
    write_private(files.certificate, certificate_pem.encode())
    return files


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        pass
    labels = text.removesuffix(".").split(".")
    if not text.isascii() or not all(label.replace("-", "a").isalnum() for label in labels):
        raise Invalid(f"{text!r} is neither a DNS name nor an address for a certificate")
    return x509.DNSName(text)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate_pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
