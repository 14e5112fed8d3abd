r"""Families whose attacks are told by one idiom: lookups, header and mail lines, internal addresses, serialised objects,
prototypes, probes, scanners.

**Threat.** `${jndi:ldap://…}` (CVE-2021-44228) and its disguises; a line break that begins a header or a mail command
(CWE-93, CWE-113); addresses only the server can reach (CWE-918, OWASP API7); objects that run code when they are read back
(CWE-502); `__proto__` (CWE-1321); tools that announce themselves.

**Evidence.** `injection.lookup|crlf|mail|ssrf|deserialisation|prototype|probe|scanner` with the idiom's name.

**How.** Each is one expression (`idiom`).

A value of nothing but an encoded line break, a separator with the space of what was to follow, or one program's name and its
separator is a command line's probe; a separator alone (`|`, `||`), `\n` (how files' line ends are configured) and a program's
name alone are honest.

**Known bypasses.** Names that resolve to internal addresses: whoever fetches has to look at the address it got.

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.evidence import ATTACK, CERTAIN, LIKELY
from sallygate.controls.injection.idiom import Idiom, compiled

_HEADER = (
    r"(?:set-cookie2?|location|content-(?:type|length|security-policy)|transfer-encoding|refresh|link|status|"
    r"x-[a-z-]{2,30}|access-control-[a-z-]{4,24}|cache-control|host|www-authenticate)"
)
PRIVATE = (
    r"(?:localhost|localtest\.me|127(?:\.[0-9]{1,3}){1,3}|127\.1|0(?:\.0){0,3}|10(?:\.[0-9]{1,3}){3}|192\.168(?:\.[0-9]{1,3}){2}|"
    r"172\.(?:1[6-9]|2[0-9]|3[01])(?:\.[0-9]{1,3}){2}|\[[0:]*(?:::1?|:1|ffff:[0-9a-f.:]{3,20}|fc00:[0-9a-f:]*|fe80:[0-9a-f:]*)\])"
)
"""Hosts that only the server's own side reaches, as one expression without groups."""

IDIOMS: tuple[Idiom, ...] = (
    Idiom("lookup", "jndi", CERTAIN, r"\$\{[^\n\x1e]{0,80}jndi[^\n\x1e]{0,12}:"),
    Idiom("lookup", "jndi", ATTACK, r"jndi:(?:ldaps?|rmi|dns|iiop|corba|nis|nds|https?):"),
    Idiom("lookup", "nested", ATTACK, r"\$\{[^\n{}\x1e]{0,60}\$\{(?:[a-z0-9_.]{1,16}:|:)"),
    Idiom("lookup", "nested", ATTACK, r"\$\{(?:lower|upper|base64|date|script|dns|url|const|jvmrunargs|ctx|marker|bundle|main|map|sd|log4j|"
          r"docker|k8s|kubernetes|spring|web|event|java|env|sys|file|properties|resourcebundle|xml):[^\n\x1e]{0,80}[}$]"),
    Idiom("lookup", "nested", CERTAIN, r"\$\{:{1,4}-.{1,3}\}"),
    Idiom("lookup", "nested", LIKELY, r"\$\{\$\{"),

    Idiom("crlf", "header", ATTACK, rf"(?:[\r\n]{{1,4}}|嘊|嘍)[ \t]{{0,4}}{_HEADER}[ \t]{{0,4}}(?:\:|%3a|=)", 600),
    Idiom("crlf", "header", ATTACK, r"[\r\n]{1,4}(?:set-cookie2?|location)[ \t]{0,4}:", 4000),
    Idiom("crlf", "request", ATTACK, r"[\r\n](?:get|post|head|put|delete|options|patch|trace) [^\s\x1e]{1,200} http/[0-9]"),
    Idiom("crlf", "response", ATTACK, r"[\r\n]http/[0-9]\.[0-9] [1-5][0-9][0-9]"),
    Idiom("crlf", "body", ATTACK, r"\r\n\r\n<(?:html|script|svg|body|!)", 4000),

    Idiom("mail", "command", ATTACK, r"[\r\n](?:rcpt to|mail from|ehlo|helo|vrfy|expn) ?[:<a-z]"),
    Idiom("mail", "command", ATTACK, r"[\r\n](?:data|quit|rset|noop|turn)\s{0,4}[\r\n\x1e]", 400),
    Idiom("mail", "command", ATTACK, r"[\r\n][a-z][0-9]{1,4} (?:capability|fetch|login|logout|select|list|lsub|status|create|delete|rename|examine|"
          r"append|search|store|copy|noop|authenticate|uid)"),
    Idiom("mail", "header", ATTACK, r"[\r\n](?:(?:bcc|cc|subject|mime-version)[ \t]{0,3}:[^\n\x1e]{0,120}(?:@|\n|\x1e)|(?:to|reply-to|from|return-path)[ \t]{0,3}:[^\n\x1e]{0,120}@)", 400),
    Idiom("mail", "command", ATTACK, r"[\r\n](?:(?:retr|dele|uidl|top|list) [0-9]{1,6}(?: [0-9]{1,6})?|apop [a-z0-9@._-]{1,64} [0-9a-f]{32}|user [a-z0-9@._-]{1,64}\s{1,4}pass [^\s\x1e]{1,64})\s{0,4}[\r\n\x1e]", 200),

    Idiom("ssrf", "metadata", CERTAIN, r"//(?:[^/\s\x1e@]{1,64}@)?(?:169\.254\.(?:169|170)\.[0-9]{1,3}|0xa9\.?(?:0x)?fe\.?(?:0x)?a9\.?(?:0x)?fe|2852039166|0251\.0376\.0251\.0376|"
          r"425\.510\.425\.510|metadata\.google\.internal|metadata\.packet\.net|metadata\.tencentyun\.com|instance-data|192\.0\.0\.192|100\.100\.100\.200|"
          r"rancher-metadata|metadata\.nicob\.net|\[(?:::ffff:)?(?:a9fe:a9fe|169\.254\.169\.254)\]|\[fd00:ec2::254\]|kubernetes\.default)"),
    Idiom("ssrf", "metadata", ATTACK, r"/latest/(?:meta-data|user-data|api/token|dynamic/)|/computemetadata/v[0-9]|/metadata/instance\?|/openstack/latest|/metadata/v1[./]"),
    Idiom("ssrf", "disguised-address", ATTACK, r"(?:https?|ftp|gopher|dict):/{2,4}(?:[^/\s\x1e@]{1,64}@)?(?:0x[0-9a-f]{1,8}(?:\.0x[0-9a-f]{1,2}){0,3}|0[0-7]{3,11}(?:\.[0-9]{1,4}){0,3}|[0-9]{8,10})(?:[:/?#\x1e])",
          trigger=r":/{2,4}(?:0x[0-9a-f]|0[0-7]{3}|[0-9]{8,10}[:/?#\x1e])|@(?:0x[0-9a-f]|0[0-7]{3}|[0-9]{8,10}[:/?#\x1e])"),
    Idiom("ssrf", "internal-address", LIKELY, rf"\x1e(?:https?|ftp|gopher|dict|ldap|tftp|sftp|ws)s?:/{{2,4}}(?:[^/\s\x1e@]{{1,64}}@)?{PRIVATE}(?:[:/?#\x1e])", trigger=rf"(?:/{{2}}|@){PRIVATE}[:/?#\x1e]"),
    Idiom("ssrf", "internal-address", LIKELY, rf"\x1e//{PRIVATE}(?:[:/?#\x1e])"),
    Idiom("ssrf", "rebinding", ATTACK, r"(?:127\.0\.0\.1|169\.254\.169\.254|10\.[0-9.]{5,11}|192\.168\.[0-9.]{3,7})\.(?:nip|xip|sslip)\.io|localdomain\.pw|spoofed\.burpcollaborator"),
    Idiom("ssrf", "address-include", LIKELY, r"\x1e(?:https?|ftps?)://(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[?[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}\]?)[^\s\x1e]{0,200}\.(?:php[0-9]?|txt|jsp|aspx?|sh|pl|py|exe|cgi|gif|jpg)[?\x1e]",
          trigger=r"\x1e(?:https?|ftps?)://(?:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.|\[|[0-9a-f]{1,4}:[0-9a-f])"),
    Idiom("ssrf", "include", LIKELY, r"\x1e(?:ftps?|https?)(?:://[^\s\x1e?]{1,200}\.(?:php[0-9]?|txt|jsp|aspx?|pl|py|cgi|dat|inc)|:?/{0,2})\?{1,4}\x1e", trigger=r"\?\x1e"),

    Idiom("deserialisation", "java", CERTAIN, r"\xac\xed\x00\x05|(?<![a-z0-9+/_-])(?-i:rO0AB[XQc])[a-z0-9+/]{8}|(?<![0-9a-z])aced0005[0-9a-f]{8}|\xc2\xac\xc3\xad",
          trigger=r"\xac\xed\x00\x05|ro0ab[xqc][a-z0-9+/]{8}|aced0005[0-9a-f]{8}|\xc2\xac\xc3\xad"),
    Idiom("deserialisation", "dotnet", CERTAIN, r"aaeaaad/////|yAAAAAEAAAD|system\.(?:windows\.data\.objectdataprovider|diagnostics\.process|configuration\.install)|objectstatemanager|\"\$type\"\s{0,4}:\s{0,4}\"system\."),
    Idiom("deserialisation", "php", ATTACK, r"[oc]:\+?[0-9]{1,6}:\"[a-z_\\][a-z0-9_\\]{0,80}\":[0-9]{1,6}:\{"),
    Idiom("deserialisation", "python", CERTAIN, r"c(?:os|posix|nt|subprocess|builtins|__builtin__|commands|sys)\n(?:system|popen|eval|exec|check_output|call|run|getattr|import)|gA[SW]V[a-z0-9+/]{3}A{7}|\(dp0\nS'"),
    Idiom("deserialisation", "yaml", CERTAIN, r"!!?(?:python/(?:object|name|module|tuple)|ruby/(?:object|hash|struct)|java(?:x)?\.|com\.sun\.|org\.(?:springframework|apache))"),
    Idiom("deserialisation", "json-type", ATTACK, r"\"@(?:type|class)\"\s{0,4}:\s{0,4}\"(?:l?(?:com|org|java|javax|sun|net|oracle|ch|br|jdk)\.)"),
    Idiom("deserialisation", "node", CERTAIN, r"_\$\$nd_func\$\$_|xyqktkrfrlvoqyqkx|__js_function"),
    Idiom("deserialisation", "ruby", ATTACK, r"\x04\x08(?:o:|\[|u:|c:)|(?<![a-z0-9+/_-])(?-i:BAh(?:b[A-Z]|v[A-P]))[a-z0-9+/]{3}", trigger=r"\x04\x08(?:o:|\[|u:|c:)|bah[bv][a-z]"),

    Idiom("prototype", "proto", ATTACK, r"__proto__"),
    Idiom("prototype", "constructor", ATTACK, r"constructor['\"]?(?:\[|\.|%5b|\]\[)\s{0,2}['\"]?prototype"),

    Idiom("command", "terminal-escape", LIKELY, r"\x1b\[[0-9;?]{0,12}[a-ln-z]|\\033\[[0-9;]{0,8}[a-z]"),

    Idiom("command", "redirection", LIKELY, r"\x1e\s{0,2}[0-9&]?[<>]{1,2}\s{0,2}/(?:etc|tmp|var|dev|proc|home|bin|usr|root|opt)/[a-z]", 200),

    Idiom("command", "line-break", LIKELY, r"\x1e(?:%0[ad]){1,4}\x1e"),
    Idiom("command", "line-break", LIKELY, r"\x1e[|;]\s?[a-z]{1,12}(?:\\[nr]|[\r\n]){1,4}\x1e"),
    Idiom("command", "separator", LIKELY, r"\x1e\s{0,2}(?:\|\||&&)[ \t]{1,4}\x1e"),
    Idiom("command", "separator", LIKELY, r"\x1e(?:id|ls|pwd|df)\s{0,2};\s{0,2}\x1e"),

    Idiom("command", "template", LIKELY, r"\x1e[a-z0-9]{0,8}(?:[;|&]|%0[ad]|\\[nr]|\$\(){1,4}\{[a-z]{2,12}\}[;|&)\x60]{0,2}\x1e"),

    Idiom("probe", "metacharacters", LIKELY, r"\x1e\s{0,2}(?:'\s?[\"\x60;|&()\\<>*]|\"\s?['\x60;|&()\\<>*]|\|\s?['\";&)(*]|&\s?[&|'\";)(]|;\s?['\"|&;]|\)\s?[)('\";|&*]|"
          r"\(\s?[('\"|&*]|\\\s?['\"\\]|\*\s?[|)('\"&])[\s'\"\x60;|&()\\<>*!]{0,10}\x1e"),

    Idiom("scanner", "collaborator", ATTACK, r"[a-z0-9-]{4,64}\.(?:burpcollaborator\.net|oastify\.com|oast\.(?:me|pro|live|site|online|fun)|interact\.sh|interactsh\.com|dnslog\.(?:cn|link)|ceye\.io|"
          r"xss\.ht|bxss\.me|requestrepo\.com|canarytokens\.(?:com|org)|r87\.(?:me|com)|eyes\.sh)"),
)  # fmt: skip

TRIGGERS, judge = compiled(IDIOMS)
