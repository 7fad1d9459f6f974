"""A certificate authority for one run, and a certificate of it for this machine's loopback.

By the `cryptography` package, or else by the `openssl` command.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from hlfast.clock import wall_clock_ms

HOST = "localhost"


@dataclass(frozen=True)
class Certificates:
    """Files: the authority that a client trusts, and the server's chain and key."""

    authority: Path
    chain: Path
    key: Path


class NoAuthority(Exception):
    """Neither way to make certificates is there."""


def make(folder: Path) -> Certificates:
    """Certificates in `folder`, valid for a day. Raises `NoAuthority`."""
    try:
        return _by_cryptography(folder)
    except ImportError:
        if shutil.which("openssl") is None:
            raise NoAuthority("TLS needs `pip install cryptography` or the openssl command") from None
        return _by_openssl(folder)


def _by_cryptography(folder: Path) -> Certificates:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.fromtimestamp(wall_clock_ms() / 1e3, timezone.utc)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(
        of: str, by: str, public: ec.EllipticCurvePublicKey, *, is_authority: bool
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(of))
            .issuer_name(name(by))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )

    issuer = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    root = (
        certificate("hlfast benchmarks", "hlfast benchmarks", issuer.public_key(), is_authority=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()), critical=False)
        .sign(issuer, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(HOST), x509.IPAddress(ip_address("127.0.0.1"))]
    leaf = (
        certificate(HOST, "hlfast benchmarks", key.public_key(), is_authority=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .sign(issuer, hashes.SHA256())
    )
    made = Certificates(folder / "authority.pem", folder / "chain.pem", folder / "key.pem")
    pem = serialization.Encoding.PEM
    made.authority.write_bytes(root.public_bytes(pem))
    made.chain.write_bytes(leaf.public_bytes(pem) + root.public_bytes(pem))
    unencrypted = serialization.NoEncryption()
    made.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted))
    made.key.chmod(0o600)
    return made


def _by_openssl(folder: Path) -> Certificates:
    made = Certificates(folder / "authority.pem", folder / "chain.pem", folder / "key.pem")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def openssl(*arguments: object) -> None:
        done = subprocess.run(
            ["openssl", *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NoAuthority(f"openssl {arguments[0]} failed: {done.stderr.strip()}")

    openssl("req", "-x509", *curve, "-keyout", "root.key", "-out", made.authority, "-days", 1,
            "-subj", "/CN=hlfast benchmarks", "-addext", "keyUsage=critical,digitalSignature,keyCertSign")  # fmt: skip
    openssl("req", *curve, "-keyout", made.key, "-out", "leaf.csr", "-subj", f"/CN={HOST}")
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST},IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", made.authority, "-CAkey", "root.key", "-CAcreateserial",
            "-out", made.chain, "-days", 1, "-extfile", "names")  # fmt: skip
    return made
