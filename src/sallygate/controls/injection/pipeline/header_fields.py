"""Classes of header fields: read by applications, by logs only, or by no program; and the text inside a field of
credentials.

Refuses to know what in a field attacks.
"""

from __future__ import annotations

import binascii
import re
from typing import Literal

HeaderKind = Literal["header", "hop", "file"]

UNREAD = frozenset(
    "sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-ch-ua-full-version-list sec-ch-ua-arch sec-ch-ua-bitness "
    "sec-ch-ua-model sec-ch-ua-platform-version sec-ch-ua-full-version sec-ch-ua-wow64 sec-ch-prefers-color-scheme "
    "sec-fetch-site sec-fetch-mode sec-fetch-dest sec-fetch-user content-length connection".split()
)
"""Written by browsers as structured fields full of quotes, and by servers; applications act on their tokens alone."""
HOPS = frozenset(
    "host accept accept-encoding accept-charset cache-control pragma content-type content-encoding transfer-encoding "
    "authorization proxy-authorization if-none-match if-match if-modified-since if-unmodified-since if-range range te "
    "upgrade upgrade-insecure-requests dnt priority expect keep-alive proxy-connection date via etag traceparent tracestate "
    "x-request-id x-correlation-id content-md5 content-language digest signature signature-input".split()
)

FILE_NAMES = frozenset("x-filename x_filename x.filename x-file-name x-file x-upload-filename slug".split())
"""Headers by which uploads name their file."""

_is_odd = re.compile(r"['<]|\.\.|\{\{").search
ATTACK_MARKS = ("$", "(", "%", "\\", "'", "<", "..", "{{")
"""What attacks an application that reads such a header needs, and what one on the writer of a log; honest ones do not."""
SPECIAL: dict[str, Literal["hop", "cookie", "file", "unread"]] = {
    **dict.fromkeys(UNREAD, "unread"), **dict.fromkeys(HOPS, "hop"), **dict.fromkeys(FILE_NAMES, "file"), "cookie": "cookie",
}  # fmt: skip
"""Headers that are not just read."""


def kind_of(name: str, value: str) -> HeaderKind:
    """What the field of a header that is looked at counts as; `name` in lower case."""
    if name in HOPS:
        digest = name.endswith("authorization") and value[:6].lower() == "digest"  # full of quotes by its nature
        return "header" if _is_odd(value) and not digest else "hop"
    return "hop" if name in UNREAD else "file" if name in FILE_NAMES else "header"


def credential_in(field: str) -> str:
    """What an application reads of a field `Authorization`: the name of the user, or the token."""
    scheme, credential = (*field.split(None, 1), "", "")[:2]
    if scheme.lower() != "basic":
        return "" if scheme.lower() == "digest" else credential
    plain = credential.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        user, _, _ = binascii.a2b_base64(plain + "=" * (-len(plain) % 4)).partition(b":")
    except ValueError:
        return credential
    return user.decode("utf-8", "replace")
