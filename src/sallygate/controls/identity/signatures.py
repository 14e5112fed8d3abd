"""Verifier of token signatures (RFC 7518, section 3; RFC 8037, section 3.1) by the key's own algorithms.

The algorithm is one of those the key is for. Cost: ES256 and EdDSA about 100 µs, RSA of 2048 bits 30, ES512 400.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from sallygate.parsing.jose.jwk import VerifyingKey
from sallygate.parsing.jose.jws import Jws

_HASHES: dict[str, HashAlgorithm] = {"256": SHA256(), "384": SHA384(), "512": SHA512()}
_ECDSA = {size: ec.ECDSA(made) for size, made in _HASHES.items()}
_PKCS1 = padding.PKCS1v15()
_PSS = {
    size: padding.PSS(padding.MGF1(made), made.digest_size) for size, made in _HASHES.items()
}  # RFC 7518, section 3.5: the salt is as long as the hash


def is_signed_by(key: VerifyingKey, token: Jws) -> bool:
    """Raises nothing: what cannot be verified is not signed."""
    algorithm = token.algorithm
    if algorithm not in key.algorithms:
        return False
    public, size = key.public, algorithm[2:]
    try:
        if isinstance(public, Ed25519PublicKey):
            public.verify(token.signature, token.signed)
        elif isinstance(public, RSAPublicKey):
            if len(token.signature) != (public.key_size + 7) // 8:
                return False
            scheme = _PKCS1 if algorithm[0] == "R" else _PSS[size]
            public.verify(token.signature, token.signed, scheme, _HASHES[size])
        else:
            half = (public.key_size + 7) // 8
            if len(token.signature) != 2 * half:  # one length alone: no DER, nothing cut or padded
                return False
            r, s = int.from_bytes(token.signature[:half], "big"), int.from_bytes(token.signature[half:], "big")
            if not r or not s:  # OpenSSL refuses them too (CVE-2022-21449 did not)
                return False
            public.verify(encode_dss_signature(r, s), token.signed, _ECDSA[size])
    except (InvalidSignature, ValueError):
        return False
    return True
