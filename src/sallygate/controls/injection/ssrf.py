r"""Addresses that only the server's own side reaches, or that another reader takes for another address.

**Threat.** An application fetches what a value names (CWE-918, OWASP API7): its own machine, its network, the cloud's metadata,
in any spelling (`http://0x7f.1`, `http:/\127.0.0.1`, `http://[64:ff9b::7f00:1]`), by names that resolve there, by sockets. It includes
a file from elsewhere (CWE-98). It sends a caller on to an address that looks like its own (CWE-601): `/\evil.example`.

**Evidence.** `injection.ssrf` with what the address is.

**How.** Each is one expression (`idiom`). Most of them ask for the address to be the whole value: support texts and logs name
internal addresses honestly.

**Known bypasses.** Names of an attacker's own that resolve to internal addresses: whoever fetches has to look at the address it got.
Addresses of other hosts as such, `//host/` among them: they are honest wherever links are.

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.evidence import ATTACK, CERTAIN, LIKELY
from sallygate.controls.injection.idiom import Idiom, compiled

PRIVATE = (
    r"(?:localhost\.?|localtest\.me|127(?:(?:\.|。)[0-9]{1,6}){1,3}|0(?:\.0){0,3}|10(?:\.[0-9]{1,3}){3}|192\.168(?:\.[0-9]{1,3}){2}|"
    r"172\.(?:1[6-9]|2[0-9]|3[01])(?:\.[0-9]{1,3}){2}|\[[0:]*(?:::1?|:1|ffff:[0-9a-f.:]{3,20}|fc00:[0-9a-f:]*|fe80:[0-9a-f:]*)\])"
)
"""Hosts that only the server's own side reaches, as one expression without groups."""
_RESOLVED = (
    r"(?:(?:[a-z0-9-]{1,40}\.){0,3}(?:lvh\.me|vcap\.me|lacolhost\.com|yoogle\.com|localho\.st|local\.sisteminha\.com|rbndr\.us|1u\.ms)|"
    r"(?:host|gateway|kubernetes)\.docker\.internal|host\.containers\.internal|[a-z0-9.-]{1,60}\.(?:service\.consul|svc\.cluster\.local))"
)
"""Names that resolve there: of services that exist for that, and of the networks of containers."""
_USER = r"(?:[^/\s\x1e@]{1,64}@)?"
_METADATA = r"169\.254\.(?:169|170)\.[0-9]{1,3}"

IDIOMS: tuple[Idiom, ...] = (
    Idiom("ssrf", "metadata", CERTAIN, rf"//{_USER}(?:{_METADATA}|0xa9\.?(?:0x)?fe\.?(?:0x)?a9\.?(?:0x)?fe|2852039166|0251\.0376\.0251\.0376|169\.254\.43518|169\.16689662|"
          r"425\.510\.425\.510|metadata\.google\.internal|metadata\.azure\.internal|metadata\.packet\.net|metadata\.tencentyun\.com|instance-data|192\.0\.0\.192|100\.100\.100\.200|"
          r"rancher-metadata|metadata\.nicob\.net|\[(?:::ffff:|64:ff9b::)?(?:a9fe:a9fe|169\.254\.169\.254)\]|\[fd00:ec2::254\]|kubernetes\.default)"),
    Idiom("ssrf", "metadata", ATTACK, r"/latest/(?:meta-data|user-data|api/token|dynamic/)|/computemetadata/v[0-9]|/metadata/instance\?|/openstack/latest|/metadata/v1[./]"),
    Idiom("ssrf", "metadata", ATTACK, rf"\x1e{_METADATA}(?::[0-9]{{1,5}})?\x1e"),
    Idiom("ssrf", "disguised-address", ATTACK, rf"(?:https?|ftp|gopher|dict):/{{2,4}}{_USER}(?:0x[0-9a-f]{{1,8}}(?:\.(?:0x)?[0-9a-f]{{1,3}}){{0,3}}|0[0-7]{{3,11}}(?:\.[0-9]{{1,4}}){{0,3}}|[0-9]{{8,10}})(?:[:/?#\x1e])",
          trigger=r":/{2,4}(?:0x[0-9a-f]|0[0-7]{3}|[0-9]{8,10}[:/?#\x1e])|@(?:0x[0-9a-f]|0[0-7]{3}|[0-9]{8,10}[:/?#\x1e])"),
    Idiom("ssrf", "disguised-address", ATTACK, r"//\[64:ff9b::(?:7f|a[0-9a-f]{0,2}:|ac1|c0a8)"),
    Idiom("ssrf", "internal-address", LIKELY, rf"\x1e(?:https?|ftp|gopher|dict|ldap|tftp|sftp|ws|smb|imap|rmi|telnet)s?:/{{2,4}}{_USER}{PRIVATE}(?:[:/?#\\\x1e])", trigger=rf"(?:/{{2}}|@){PRIVATE}[:/?#\\\x1e]"),
    Idiom("ssrf", "internal-address", LIKELY, rf"\x1e(?:https?|ftp):(?:/|[/\\]{{0,2}}\\[/\\]{{0,3}})?{PRIVATE}(?:[:/?#\\\x1e])"),
    Idiom("ssrf", "internal-address", LIKELY, rf"\x1e//{PRIVATE}(?:[:/?#\\\x1e])"),
    Idiom("ssrf", "internal-name", LIKELY, rf"\x1e(?:[a-z]{{2,8}}:)?//{_USER}{_RESOLVED}(?:[:/?#\\\x1e])"),
    Idiom("ssrf", "socket", ATTACK, r"(?:\x1e|https?://|\?)unix:/{0,3}(?:var|run|tmp|private)/|\x1eldapi://|\x1eunix:[^\x1e]{200,4000}\|https?:"),
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

TRIGGERS, judge = compiled(IDIOMS)
