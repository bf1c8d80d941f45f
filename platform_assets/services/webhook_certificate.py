"""The certificate of KServe's webhooks, and the authority that vouches for it. Pure but for keys.

The authority lives ten years, a certificate one; each is replaced when a third of its time is left.
PEM in, PEM out; where they are kept is not known here. Reference: RFC 5280; Kubernetes
documentation, "Dynamic Admission Control: contacting the webhook".
"""

import datetime as dt
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_VALID: Final = dt.timedelta(days=3650)
CERTIFICATE_VALID: Final = dt.timedelta(days=365)
RENEWED_BEFORE: Final = 1 / 3  # of its whole time
CLOCK_SKEW: Final = dt.timedelta(minutes=10)
_PEM: Final = re.compile(
    "-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----",
)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, both PEM. The key is never shown."""

    certificate: str
    key: str = field(repr=False)

    @property
    def ends(self) -> dt.datetime:
        """When it is no longer valid."""
        return x509.load_pem_x509_certificate(self.certificate.encode()).not_valid_after_utc

    @property
    def fingerprint(self) -> str:
        """What tells it from others."""
        return hashlib.sha256(self.certificate.encode()).hexdigest()[:16]


def new_authority(now: dt.datetime) -> Issued:
    """Return a new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("ai-how webhooks")
    built = (
        _dated(now, AUTHORITY_VALID)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _issued(built, key)


def new_certificate(authority: Issued, hosts: tuple[str, ...], now: dt.datetime) -> Issued:
    """Return a new certificate of a server that is asked under these names."""
    signer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signing_key = serialization.load_pem_private_key(authority.key.encode(), None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)  # noqa: S101 - ours are
    key = ec.generate_private_key(ec.SECP256R1())
    built = (
        _dated(now, CERTIFICATE_VALID)
        .subject_name(_name(hosts[0]))
        .issuer_name(signer.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False
        )
        .sign(signing_key, hashes.SHA256())
    )
    return _issued(built, key)


def authority_objection(authority: Issued | None, now: dt.datetime) -> str:
    """Return why a new authority is needed, or ""."""
    if authority is None:
        return "there is none"
    try:
        found, key = _loaded(authority)
    except (ValueError, TypeError):
        return "it cannot be read"
    if key.public_key() != found.public_key():
        return "its key is another's"
    return _ageing(found, now)


def certificate_objection(
    certificate: Issued | None, authority: Issued, hosts: tuple[str, ...], now: dt.datetime
) -> str:
    """Return why a new certificate is needed, or ""."""
    if certificate is None:
        return "there is none"
    try:
        found, key = _loaded(certificate)
        known = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found.verify_directly_issued_by(
            x509.load_pem_x509_certificate(authority.certificate.encode())
        )
    except x509.ExtensionNotFound:
        return "it names no host"
    except (ValueError, TypeError):
        return "it cannot be read, or belongs to another authority"
    except InvalidSignature:
        return "the authority does not vouch for it"
    if key.public_key() != found.public_key():
        return "its key is another's"
    if not set(hosts) <= set(known.get_values_for_type(x509.DNSName)):
        return "it is for other hosts"
    return _ageing(found, now)


def bundle(authority: Issued, before: str, now: dt.datetime) -> str:
    """Return the authorities to trust while a server may still show a certificate of the last one.

    `before` is what is trusted now; of it the newest that is valid and another stays.
    """
    others = []
    for block in _PEM.findall(before):
        pem = f"{block}\n"
        try:
            found = x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            continue
        if pem != authority.certificate and found.not_valid_after_utc > now:
            others.append((found.not_valid_before_utc, pem))
    return authority.certificate + "".join(pem for _, pem in sorted(others)[-1:])


def ends_soon(certificate: str, now: dt.datetime) -> str:
    """Return why a certificate will not do for long, or ""; a materialization renews it."""
    try:
        return _ageing(x509.load_pem_x509_certificate(certificate.encode()), now)
    except ValueError:
        return "it cannot be read"


def _ageing(found: x509.Certificate, now: dt.datetime) -> str:
    begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    if not begins <= now:
        return f"it begins {begins:%Y-%m-%d}"
    if ends - now < (ends - begins) * RENEWED_BEFORE:
        return f"it ends {ends:%Y-%m-%d}"
    return ""


def _loaded(issued: Issued) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = serialization.load_pem_private_key(issued.key.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(type(key).__name__)
    return x509.load_pem_x509_certificate(issued.certificate.encode()), key


def _issued(built: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Issued(built.public_bytes(serialization.Encoding.PEM).decode(), pem.decode())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _dated(now: dt.datetime, valid: dt.timedelta) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + valid)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
