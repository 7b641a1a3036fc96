"""Certificates of an authority of our own: good ones, and one for each way to be wrong."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.matrix.setup import Certificate

KINDS: tuple[Certificate, ...] = ("trusted", "expired", "other name", "self-signed", "incomplete")


class Authority:
    """A certificate authority whose certificate is in `authority.pem`.

    Arguments:
        folder: existing folder for the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "authority.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _make("matrix authority", self._key, None, None, authority=True)
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        for kind in KINDS:
            self._write(kind)

    def bundle(self, kind: Certificate) -> Path:
        """Return the file with the certificate chain and the key, as HAProxy reads it."""
        return self.folder / f"{kind.replace(' ', '-')}.bundle"

    def chain(self, kind: Certificate) -> Path:
        """Return the file with the certificate chain."""
        return self.folder / f"{kind.replace(' ', '-')}.pem"

    def key(self, kind: Certificate) -> Path:
        """Return the file with the key."""
        return self.folder / f"{kind.replace(' ', '-')}.key"

    def _write(self, kind: Certificate) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
        issuer = (self._certificate, self._key)
        days = 60
        host: str | None = None
        if kind == "expired":
            days = -2
        elif kind == "other name":
            host = "other.example"
        elif kind == "self-signed":
            issuer = None
        elif kind == "incomplete":
            # Its intermediate certificate is not in the file.
            between = ec.generate_private_key(ec.SECP256R1())
            issuer = (_make("matrix intermediate", between, *issuer, authority=True), between)
        made = _make("localhost", key, *(issuer or (None, None)), days=days, host=host)
        pem = made.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        self.chain(kind).write_bytes(pem)
        self.key(kind).write_bytes(private)
        self.bundle(kind).write_bytes(pem + private)


def _make(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey | None,
    *,
    authority: bool = False,
    days: int = 60,
    host: str | None = None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host or "localhost")]
    if host is None:
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    signer = issuer_key or key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if authority:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())
