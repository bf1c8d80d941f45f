"""A certificate authority for one cluster of the lab: elliptic-curve keys, valid for some days.

Files are named as kubeadm names them (`ca.crt`, `ca.key`, `sa.key`, …) and closed to others.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = dt.timedelta(days=7)
CLOCK_SKEW = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate with its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class CertificateAuthority:
    """The authority whose files lie in `directory`; made when it is first used there."""

    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.crt"

    @cached_property
    def _signer(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key_file = self.directory / "ca.key"
        if key_file.exists():
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            return x509.load_pem_x509_certificate(self.certificate.read_bytes()), key
        key = write_key(key_file)
        name = _name("lab", ())
        built = (
            _dated(x509.CertificateBuilder())
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        return built, key

    def ensure(self) -> Path:
        """See to it that the authority exists; return its certificate."""
        _ = self._signer
        return self.certificate

    def issue_server(self, name: str, hosts: Iterable[str]) -> IssuedCertificate:
        """Issue a certificate for a server that is reached under `hosts` (names or addresses)."""
        known = x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)])
        return self._issue(name, (), ExtendedKeyUsageOID.SERVER_AUTH, known)

    def issue_client(self, user: str, groups: Iterable[str] = ()) -> IssuedCertificate:
        """Issue a certificate that makes whoever holds it `user` of `groups`."""
        return self._issue(user, groups, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _issue(
        self,
        name: str,
        groups: Iterable[str],
        usage: x509.ObjectIdentifier,
        known: x509.SubjectAlternativeName | None,
    ) -> IssuedCertificate:
        authority, authority_key = self._signer
        stem = name.replace(":", "-").replace("/", "-")
        issued = IssuedCertificate(self.directory / f"{stem}.crt", self.directory / f"{stem}.key")
        key = write_key(issued.key)
        builder = (
            _dated(x509.CertificateBuilder())
            .subject_name(_name(name, groups))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if known is not None:
            builder = builder.add_extension(known, critical=False)
        built = builder.sign(authority_key, hashes.SHA256())
        issued.certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        return issued


def write_key(file: Path) -> ec.EllipticCurvePrivateKey:
    """Make a private key and write it to `file`, closed to others."""
    key = ec.generate_private_key(ec.SECP256R1())
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return key


def write_public_key(key: ec.EllipticCurvePrivateKey, file: Path) -> None:
    """Write the public half of `key` to `file`."""
    file.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _name(user: str, groups: Iterable[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _dated(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
