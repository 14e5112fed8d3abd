"""Tokens for tests: keys made at test time, signatures over whatever a test wants, an issuer that answers over HTTP."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sallygate.model.outcome import Admission, Ask, Refuse
from sallygate.offline.decide import Offline
from support import write_policy

NOW = 1_790_000_000.0
ISSUER = "https://id.example"
AUDIENCE = "shop"
CURVES = {
    "ES256": ("P-256", ec.SECP256R1(), 32),
    "ES384": ("P-384", ec.SECP384R1(), 48),
    "ES512": ("P-521", ec.SECP521R1(), 66),
}
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@lru_cache
def _private(algorithm: str, label: str, bits: int = 2048) -> Any:
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm][1])
    if algorithm in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Key:
    """A signing key; two of the same label are one."""

    algorithm: str = "ES256"
    kid: str = "k1"
    label: str = ""
    bits: int = 2048

    @property
    def private(self) -> Any:
        family = "RSA" if self.algorithm[:2] in ("RS", "PS") else self.algorithm  # one RSA key signs by any of them
        return _private(family, self.label or self.kid, self.bits)

    def jwk(self, **more: Any) -> dict[str, Any]:
        public = self.private.public_key()
        if self.algorithm in CURVES:
            name, _, size = CURVES[self.algorithm]
            numbers = public.public_numbers()
            made = {"kty": "EC", "crv": name, "x": number(numbers.x, size), "y": number(numbers.y, size)}
        elif self.algorithm in ("EdDSA", "Ed25519"):
            made = {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
        else:
            numbers = public.public_numbers()
            made = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        return {**made, "kid": self.kid, "use": "sig", "alg": self.algorithm, **more}

    def signature(self, signed: bytes) -> bytes:
        if self.algorithm in CURVES:
            size = CURVES[self.algorithm][2]
            r, s = decode_dss_signature(self.private.sign(signed, ec.ECDSA(HASHES[self.algorithm[2:]])))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if self.algorithm in ("EdDSA", "Ed25519"):
            return self.private.sign(signed)
        made = HASHES[self.algorithm[2:]]
        scheme = padding.PKCS1v15() if self.algorithm[0] == "R" else padding.PSS(padding.MGF1(made), made.digest_size)
        return self.private.sign(signed, scheme, made)


KEY = Key()


def claims(**more: Any) -> dict[str, Any]:
    """Of a token of NOW; a value of None takes the claim out."""
    made = {"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "iat": int(NOW) - 10, "exp": int(NOW) + 300, "scope": "things:read",
            **more}  # fmt: skip
    return {name: value for name, value in made.items() if value is not None}


def token(
    said: Any = None, key: Key = KEY, header: dict[str, Any] | None = None, *, signature: bytes | None = None
) -> str:
    """`said` is claims, or the payload's bytes; `header` is put over the honest one."""
    head = {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid, **(header or {})}
    head = {name: value for name, value in head.items() if value is not None}
    payload = said if isinstance(said, bytes) else json.dumps(claims() if said is None else said).encode()
    signed = f"{b64(json.dumps(head).encode())}.{b64(payload)}"
    return f"{signed}.{b64(key.signature(signed.encode()) if signature is None else signature)}"


def key_set(*keys: Key | dict[str, Any]) -> bytes:
    return json.dumps({"keys": [key.jwk() if isinstance(key, Key) else key for key in keys]}).encode()


@dataclass
class IssuerServer:
    """An identity provider on loopback. `answer` gives (status, headers, body) for a path; None: 404."""

    keys: list[Key | dict[str, Any]] = field(default_factory=lambda: [KEY])
    paths: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    delay_s: float = 0.0
    down: bool = False
    port: int = 0
    certificate: tuple[Path, Path] | None = None
    """(certificate, key), for https."""

    @property
    def url(self) -> str:
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        if self.down:
            return 503, {}, b""
        if path in self.paths:
            return self.paths[path]
        if path == "/jwks.json":
            return 200, {"Content-Type": "application/json"}, key_set(*self.keys)
        return 404, {}, b""


@contextmanager
def issuing(**more: Any) -> Iterator[IssuerServer]:
    found = IssuerServer(**more)

    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(found.delay_s)
            status, headers, body = found.answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    found.port = server.server_address[1]
    if found.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*found.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


class Bench:
    """An engine that believes tokens, asked by the text of one."""

    def __init__(self, directory: Path, *keys: Key | dict[str, Any], issuer: str = "", also: str = "",
                 identity: str = "", more: str = "") -> None:  # fmt: skip
        """`issuer` adds to the section, `also` adds others, `identity` to the section around them."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "keys.json").write_bytes(key_set(*(keys or (KEY,))))
        source = "" if "jwks:" in issuer else ", jwks: keys.json"
        plan = "" if "plan" in issuer else ", plan: large"
        section = f"{{issuer: {ISSUER!r}, audience: {AUDIENCE}{source}{plan}{issuer and ', ' + issuer}}}"
        self.policy = write_policy(
            directory, f"identity: {{jwt: [{section}{also and ', ' + also}]{identity and ', ' + identity}}}\n{more}"
        )
        self.offline = Offline(self.policy)
        self.state, self.engine = self.offline.state, self.offline.gate.engine

    def admit(self, *authorizations: str, now: float = NOW, address: str = "192.0.2.1", path: str = "/things",
              done: tuple[Any, ...] = (), key: str | None = None) -> Any:  # fmt: skip
        """Decided, and charged as Guard does."""
        headers = [(b"host", b"api.example"), *((b"authorization", text.encode("latin-1")) for text in authorizations)]
        headers += [(b"x-api-key", key.encode())] if key is not None else []
        head = self.offline.gate.reader.read(
            method="GET", scheme="https", raw_path=path.encode(), raw_query=b"", headers=tuple(headers), http_version="1.1",
            peer=address, request_id="0" * 32, now=now,
        )  # fmt: skip
        outcome = self.engine.admit(head, now, done)
        for charge in getattr(outcome, "charges", ()):
            self.state.tables[charge.table].take(charge.subject, now, charge.amount)
        if isinstance(outcome, Admission):
            examined = self.engine.examine(outcome, head, None)
            return examined if isinstance(examined, Refuse) else outcome
        return outcome

    def bearer(self, text: str, **more: Any) -> Any:
        return self.admit(f"Bearer {text}", **more)

    def said(self, text: str, **more: Any) -> str:
        """`ok`, `ask`, or code and rule."""
        return said(self.bearer(text, **more))


def said(outcome: Any) -> str:
    if isinstance(outcome, Admission):
        return "ok"
    if isinstance(outcome, Ask):
        return "ask"
    first = outcome.decision.findings[0]
    return f"{first.code}: {first.rule}" if first.code == "identity.invalid" else first.code
