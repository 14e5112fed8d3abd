r"""Judge of server-side request forgery (SSRF): internal addresses, and addresses that two readers read differently.

**Threat.** An application fetches what a value names (CWE-918, OWASP API7): its own machine, its network, the cloud's metadata,
in any spelling (`http://0x7f.1`, `http:/\127.0.0.1`, `http://[64:ff9b::7f00:1]`), by names that resolve there, by sockets. It includes
a file from elsewhere (CWE-98). It sends a caller on to an address that looks like its own (CWE-601): `/\evil.example`.

**Evidence.** `injection.ssrf` with what the address is.

**How.** The host of an address that begins a value is read as browsers and libraries read it (WHATWG URL, section 3.5: decimal,
octal, hexadecimal, one to four numbers) and looked for in the networks nobody outside reaches; names that resolve there, paths of
metadata, files from elsewhere and open redirects are matched by one expression each (`idiom_judge`). Support texts and logs
name internal addresses honestly, amid other words.

**Known bypasses.** Names of the attacker that resolve to internal addresses: the fetching application has to check the resolved address.
Addresses of other hosts as such, `//host/` among them: they are honest wherever links are.

**Cost.** Only the expressions that were hit are searched; each is linear. A host is looked for in a dozen networks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, Evidence
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import HOP, TEXTS, Judge

_NETWORKS = tuple(
    map(
        ip_network,
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16 198.18.0.0/15 "
        "::/127 fc00::/7 fe80::/10".split(),
    )
)
"""Of the machine itself, of networks behind it, and of what hosts give to machines alone (RFC 6890)."""
_METADATA = frozenset(
    map(
        ip_address,
        "169.254.169.254 169.254.170.2 169.254.169.123 169.254.0.23 192.0.0.192 100.100.100.200 fd00:ec2::254".split(),
    )
)
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("::ffff:0:0:0/96"))
_NAMES = (
    r"(?:localhost|localdomain|ip6-localhost|ip6-loopback|localtest\.me|lvh\.me|vcap\.me|lacolhost\.com|yoogle\.com|localho\.st|local\.sisteminha\.com|"
    r"rbndr\.us|1u\.ms|nip\.io|xip\.io|sslip\.io|traefik\.me|service\.consul|svc\.cluster\.local|(?:host|gateway|kubernetes)\.docker\.internal|"
    r"host\.containers\.internal)"
)
_internal_name = re.compile(rf"(?:[a-z0-9-]{{1,63}}\.){{0,12}}{_NAMES}").fullmatch
"""Names that resolve there: of services that exist for that, and of the networks of containers."""
_SCHEMES = r"(?:https?|ftps?|gopher|dict|ldaps?|tftp|sftp|wss?|smb|imaps?|pop3s?|smtps?|rmi|telnet|ssh|git|redis|mysql|postgres(?:ql)?|mongodb|amqp|memcached?|http\+unix)"
_ADDRESS = re.compile(
    rf"\s{{0,8}}+(?:[a-z_]{{1,20}}=)?(?:(?:url:)?{_SCHEMES}:[/\\]{{1,6}}+|(?:https?|ftp):|[/\\]{{2,6}}+(?=[0-9\[]|localhost))(?:[^/\\\s@]{{1,64}}@)?"
    r"(\[[0-9a-f:.]{2,60}(?:%[\w%]{0,20})?\]|[^/\\\s:?#@\[\]]{1,100})(?=[:/\\?#\s]|\Z)",
    re.IGNORECASE,
).match
_LEADING_ZEROS = re.compile(r"(?<![0-9a-fx:])0+([1-9])").sub
"""Some readers take octal numbers for decimal ones."""
_NUMBERS = re.compile(r"(?:0x[0-9a-f]{0,16}|[0-9]{1,16})(?:\.(?:0x[0-9a-f]{0,16}|[0-9]{1,16})){0,3}").fullmatch


def is_internal(host: str) -> bool:
    """Whether only the server's own side reaches `host`: a name, or an address in any spelling."""
    address = address_of(host)
    if address is not None:
        decimal = address_of(_LEADING_ZEROS(r"\1", host))
        return any(one in network for network in _NETWORKS for one in (address, decimal) if one is not None)
    return _internal_name(host.lower().rstrip(".")) is not None


def is_metadata(host: str) -> bool:
    """Whether `host` is an address of a cloud's metadata, or of a link that only machines have."""
    address = address_of(host)
    return address is not None and (address in _METADATA or address.is_link_local)


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address a host of numbers is, an IPv4 address within one of IPv6 for what it stands for; None for names."""
    host = host.lower().replace("\u3002", ".").removesuffix(".")
    if host[:1] == "[":
        try:
            return _translated(IPv6Address(host[1:-1].partition("%")[0]))
        except ValueError:
            return None
    if not _NUMBERS(host):
        return None
    numbers = [_number(part) for part in host.split(".")]
    *first, last = numbers
    if max(first, default=0) > 255 or last >= 256 ** (4 - len(first)):
        return None
    return IPv4Address(sum(number << 24 - 8 * at for at, number in enumerate(first)) + last)


def _number(part: str) -> int:
    """As C's `strtoul` reads it; digits no octal number has are read as decimal ones, as lenient readers do."""
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    octal = len(part) > 1 and part[0] == "0" and part.isdecimal() and max(part) < "8"
    return int(part, 8 if octal else 10)


def _translated(address: IPv6Address) -> IPv4Address | IPv6Address:
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and (any(address in network for network in _TRANSLATED) or 1 < int(address) < 1 << 32):
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


_USER = r"(?:[^/\s\x1e@]{1,64}@)?"

IDIOMS: tuple[Idiom, ...] = (
    Idiom("ssrf", "metadata", CERTAIN, rf"//{_USER}(?:169\.254\.(?:169|170)\.[0-9]{{1,3}}|0xa9\.?(?:0x)?fe\.?(?:0x)?a9\.?(?:0x)?fe|2852039166|0251\.0376\.0251\.0376|169\.254\.43518|169\.16689662|"
          r"425\.510\.425\.510|metadata\.google\.internal|metadata\.azure\.internal|metadata\.packet\.net|metadata\.tencentyun\.com|instance-data|192\.0\.0\.192|100\.100\.100\.200|"
          r"rancher-metadata|metadata\.nicob\.net|\[(?:::ffff:|64:ff9b::)?(?:a9fe:a9fe|169\.254\.169\.254)\]|\[fd00:ec2::254\]|kubernetes\.default)"),
    Idiom("ssrf", "metadata", ATTACK, r"/latest/(?:meta-data|user-data|api/token|dynamic/)|/computemetadata/v[0-9]|/metadata/instance\?|/openstack/latest|/metadata/v1[./]"),
    Idiom("ssrf", "metadata", ATTACK, r"\x1e169\.254\.(?:169|170)\.[0-9]{1,3}(?::[0-9]{1,5})?(?:/[^\s\x1e]{0,200})?\x1e"),
    Idiom("ssrf", "disguised-address", ATTACK, rf"(?:https?|ftp|gopher|dict):/{{2,4}}{_USER}(?:0x[0-9a-f]{{1,8}}(?:\.(?:0x)?[0-9a-f]{{1,3}}){{0,3}}|0[0-7]{{3,11}}(?:\.[0-9]{{1,4}}){{0,3}}|[0-9]{{8,10}})(?:[:/?#\x1e])",
          trigger=r":/{2,4}(?:0x[0-9a-f]|0[0-7]{3}|[0-9]{8,10}[:/?#\x1e])|@(?:0x[0-9a-f]|0[0-7]{3}|[0-9]{8,10}[:/?#\x1e])"),
    Idiom("ssrf", "socket", ATTACK, r"(?:\x1e|https?://|\?)unix:/{0,3}(?:var|run|tmp|private)/|http\+unix:|\x1eldapi://|\x1eunix:[^\x1e|]{1,4000}\|(?:https?|ftp|wss?|ajp|fcgi|h2c?|uwsgi|scgi):"),
    Idiom("ssrf", "rebinding", ATTACK, r"(?:127\.0\.0\.1|169\.254\.169\.254|10\.[0-9.]{5,11}|192\.168\.[0-9.]{3,7})\.(?:nip|xip|sslip)\.io|localdomain\.pw|spoofed\.burpcollaborator"),
    Idiom("ssrf", "back-end", ATTACK, r"[=\x1e]localhost~[0-9]{6,12}"),
    # A file from elsewhere
    Idiom("ssrf", "address-include", LIKELY, r"\x1e(?:https?|ftps?)://(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[?[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}\]?)[^\s\x1e]{0,200}\.(?:php[0-9]?|txt|jsp|aspx?|sh|pl|py|exe|cgi|gif|jpg)[?\x1e]",
          trigger=r"\x1e(?:https?|ftps?)://(?:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.|\[|[0-9a-f]{1,4}:[0-9a-f])"),
    Idiom("ssrf", "include", LIKELY, r"\x1e(?:ftps?|https?)(?:://[^\s\x1e?]{1,200}\.(?:php[0-9]?|txt|jsp|aspx?|pl|py|cgi|dat|inc)|:?/{0,2})\?{1,4}\x1e", trigger=r"\?\x1e"),
    Idiom("ssrf", "include", LIKELY, r"\x1e(?:(?:ftps?|https?):)?//[^\s\x1e?]{1,200}/(?:[a-z0-9]{0,8}shell[a-z0-9]{0,4}|cmd|backdoor|c99|c100|r57|wso[0-9.]{0,4}|b374k|alfa|phpspy|weevely|evil|pwn|rfi(?:inc)?)\.(?:php[0-9]?|phtml|txt|jspx?|aspx?|pl|py|cgi|sh|gif)[?\x1e]"),
    Idiom("ssrf", "include", LIKELY, r"\x1eftps?://[^\s\x1e?]{1,200}\.(?:php[0-9]?|phtml|jspx?|aspx?)\x1e"),
    # Another address than it looks
    Idiom("ssrf", "redirect", LIKELY, r"\x1e/{0,2}(?:/\\{1,3}/?|\\{1,2}/{1,2}\\?)/?(?:[a-z0-9-]{1,40}\.){1,4}[a-z]{2,12}(?:[/?#:]|\x1e)"),
    Idiom("ssrf", "redirect", LIKELY, r"\x1e(?:https?:)?/{3,6}(?:[a-z0-9-]{1,40}\.){1,4}[a-z]{2,12}(?:[/?#:]|\x1e)"),
    Idiom("ssrf", "redirect", ATTACK, r"\x1e/[\t\r\n]{1,4}/|\x1e(?:https?:)?//[a-z0-9.-]{1,80}(?:\x00|%00|[\t\r\n])[a-z0-9./]"),
    Idiom("ssrf", "redirect", LIKELY, r"\x1ehttps?://(?:[a-z0-9-]{1,40}\.){1,4}(?:com|net|org|io|dev|app|example|edu|gov|co|info|biz|bank|cloud|me)(?::[0-9]{2,5}|&|%26)?(?:\\|%5c)?@(?:[a-z0-9-]{1,40}\.){1,4}[a-z]{2,12}(?:[/?#:]|\x1e)"),
)  # fmt: skip

_LEADS = (
    rf"{_SCHEMES}:[/\\]{{0,6}}[0-9\[]",
    r"@(?:[0-9]{1,3}\.[0-9]|\[|0x|[0-9]{8,10}|0[:/])",
    rf"[/\\:@.-]{_NAMES}\.?[/:?#\\\s\x1e]",
    r"\x1e\s?(?:[a-z_]{1,20}=)?[/\\]{2,6}[0-9\[]",
)
"""What an address begins with whose host is worth reading."""
_BY_EXPRESSION = IdiomJudge("ssrf", IDIOMS)


class SsrfJudge(Judge):
    """Judge of addresses."""

    name = "ssrf"
    triggers = (*_BY_EXPRESSION.triggers, *_LEADS)
    kinds = TEXTS | HOP
    cost = 0.2

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The strongest of what an address says as it stands, and of where it leads."""
        best = _BY_EXPRESSION.judge(text, [hit for hit in hits if hit < len(IDIOMS)])
        if best is not None and best.score >= ATTACK:
            return best
        named = _ADDRESS(text)
        if named is None:
            return best
        address = address_of(named[1])
        if address in _METADATA:
            return Evidence("ssrf", "metadata", CERTAIN, *named.span(1))
        return Evidence("ssrf", "internal-address", LIKELY, *named.span(1)) if is_internal(named[1]) else best


JUDGE: Judge = SsrfJudge()
