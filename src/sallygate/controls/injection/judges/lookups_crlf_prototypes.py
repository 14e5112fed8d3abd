r"""Judge of lookups (JNDI), header and mail lines (CRLF), prototypes, probes and scanners' marks, by one expression each.

**Threat.** `${jndi:ldap://…}` (CVE-2021-44228) and its disguises; a line break that begins a header or a mail command
(CWE-93, CWE-113); `__proto__` (CWE-1321); tools that announce themselves.

**Evidence.** `injection.lookup|crlf|mail|prototype|probe|scanner` with the idiom's name.

**How.** Each is one expression (`idiom_judge`).

A value of nothing but an encoded line break, a separator with the space of what was to follow, or one program's name and its
separator is a command line's probe; a separator alone (`|`, `||`), `\n` (how files' line ends are configured) and a program's
name alone are honest.

**Known bypasses.** Lookups an application's own logger knows.

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import HOP, JSON, TEXTS, Judge

_HEADER = (
    r"(?:set-cookie2?[ \t]{0,4}(?:\:|%3a|=)|location[ \t]{0,4}(?:\:|%3a|=)[ \t]{0,4}(?:https?(?:\:|%3a)|//|/[a-z0-9]|\\|[a-z]{2,8}://|@[a-z]|javascript|data:|%)|content-type[ \t]{0,4}(?:\:|%3a|=)[ \t]{0,4}[a-z]{4,12}(?:/|%2f)|content-length[ \t]{0,4}(?:\:|%3a|=)[ \t]{0,4}[0-9]|"
    r"content-disposition[ \t]{0,4}(?:\:|%3a)[ \t]{0,4}(?:attachment|inline|form-data)|content-security-policy[a-z-]{0,12}[ \t]{0,4}(?:\:|%3a)|transfer-encoding[ \t]{0,4}(?:\:|%3a|=)|refresh[ \t]{0,4}(?:\:|%3a)[ \t]{0,4}(?:[0-9]{1,6}[ \t]{0,4};|[0-9.]{1,8}[ \t;,]{1,6}url)|link[ \t]{0,4}(?:\:|%3a)[ \t]{0,4}(?:<|%3c)|"
    r"status[ \t]{0,4}(?:\:|%3a)[ \t]{0,4}[1-5][0-9][0-9]\b|x-(?:forwarded|real|original|rewrite|remote|client|cluster|host|method|user|auth|api|amz|http|xss|frame|content|powered|accel|sendfile|middleware|injected|header|test|custom|evil|crlf)[a-z-]{0,30}[ \t]{0,4}(?:\:|%3a)|"
    r"access-control-[a-z-]{4,24}[ \t]{0,4}(?:\:|%3a)|cache-control[ \t]{0,4}(?:\:|%3a)|www-authenticate[ \t]{0,4}(?:\:|%3a)|authorization[ \t]{0,4}(?:\:|%3a)[ \t]{0,4}[a-z]{4,10}[ \t]|cookie[ \t]{0,4}(?:\:|%3a)[ \t]{0,4}[^\s=\x1e]{1,60}=|user-agent[ \t]{0,4}(?:\:|%3a)|"
    r"origin[ \t]{0,4}(?:\:|%3a)[ \t]{0,4}[a-z]|connection[ \t]{0,4}(?:\:|%3a)[ \t]{0,4}(?:close|keep-alive|upgrade)|strict-transport-security[ \t]{0,4}(?:\:|%3a))"
)
"""A header with what it says: `Location: Berlin` and `Status: open` are lines of a text."""
_ADDRESSED = r"\x1e(?:[^\s\x1e]{1,80}(?=\r\n)|[^\s@\x1e]{1,80}@[^\s\x1e]{1,120}|[\r\n]{0,2}|[^\n\x1e]{0,80}%0[ad][^\n\x1e]{0,40})"
"""A value that begins with an address of mail, or with the break itself."""
IDIOMS: tuple[Idiom, ...] = (
    Idiom("lookup", "jndi", CERTAIN, r"\$\{[^\n\x1e]{0,80}jndi[^\n\x1e]{0,12}:"),
    Idiom("lookup", "jndi", ATTACK, r"jndi:(?:ldaps?|rmi|dns|iiop|corba|nis|nds|https?):"),
    Idiom("lookup", "nested", ATTACK, r"\$\{[^\n{}\x1e]{0,60}\$\{(?:[a-z0-9_.]{1,16}:|:)"),
    Idiom("lookup", "nested", ATTACK, r"\$\{(?:lower|upper|base64|date|script|dns|url|const|jvmrunargs|ctx|marker|bundle|main|map|sd|log4j|"
          r"docker|k8s|kubernetes|spring|web|event|java|env|sys|file|properties|resourcebundle|xml):[^\n\x1e]{0,80}[}$]"),
    Idiom("lookup", "nested", CERTAIN, r"\$\{:{1,4}-.{1,3}\}"),
    Idiom("lookup", "nested", LIKELY, r"\$\{\$\{"),

    Idiom("lookup", "naming-address", LIKELY, r"\x1e(?:rmi|iiop|iiopname|corbaname|corbaloc):(?://?|iiop:|rir:)[^\s\x1e]{3,200}\x1e"),

    Idiom("crlf", "header", ATTACK, rf"(?:[\r\n]{{1,4}}|嘊|嘍|čĊ|ਊ|਍)[ \t]{{0,4}}{_HEADER}", 600),
    Idiom("crlf", "header", ATTACK, r"[\r\n]{1,4}(?:set-cookie2?[ \t]{0,4}:|location[ \t]{0,4}:[ \t]{0,4}(?:https?:|//|/[a-z0-9]|javascript|data:))", 4000),
    Idiom("crlf", "request", ATTACK, r"http/[0-9]\.[0-9](?:[\r\n]|%0[ad]){1,4}[a-z-]{2,30}:|\x1e[^\s\x1e]{0,80}(?:[\r\n]|%0[ad]){1,4}host:(?:\s|%20){0,2}(?:[a-z0-9-]{1,60}\.){1,6}[a-z]{2,16}|\x1e[^\n\x1e]{0,80}\r\nhost:\s{0,2}(?:(?:[a-z0-9-]{1,60}\.){1,6}[a-z0-9]{1,16}|localhost\b)"),
    Idiom("crlf", "request", ATTACK, r"[\r\n](?:get|post|head|put|delete|options|patch|trace) [^\s\x1e]{1,200} http/[0-9]"),
    Idiom("crlf", "response", ATTACK, r"[\r\n]http/[0-9]\.[0-9] [1-5][0-9][0-9]"),
    Idiom("crlf", "body", ATTACK, r"\r\n\r\n<(?:html|script|svg|body|!)", 4000),

    Idiom("crlf", "cache-command", ATTACK, r"[\r\n](?:set|add|replace|append|prepend|cas) [^\s\x1e]{1,250} [0-9]{1,10} [0-9]{1,10} [0-9]{1,10}[\r\n]"),

    Idiom("mail", "command", ATTACK, r"[\r\n](?:rcpt to|mail from|ehlo|helo|vrfy|expn) ?[:<a-z]"),
    Idiom("mail", "command", ATTACK, r"[\r\n](?-i:DATA|QUIT|RSET|NOOP|TURN)\s{0,4}[\r\n\x1e]", 400,
          trigger=r"[\r\n](?:data|quit|rset|noop|turn)\s{0,4}[\r\n\x1e]"),
    Idiom("mail", "command", ATTACK, r"[\r\n][a-zA-Z][0-9]{1,4} (?-i:CAPABILITY|FETCH|LOGIN|LOGOUT|SELECT|LIST|LSUB|STATUS|CREATE|DELETE|RENAME|EXAMINE|"
          r"APPEND|SEARCH|STORE|COPY|NOOP|AUTHENTICATE|UID)\b|[\r\n][a-z][0-9]{1,4} (?:capability|logout|noop|select inbox|delete inbox|store [0-9*:]{1,12} |copy [0-9*:]{1,12} [a-z]{1,30}\s{0,4}[\r\n\x1e]|list \"|fetch [0-9*:]{1,12} |login [^\s\x1e]{1,60} [^\s\x1e]{1,60}\s{0,4}[\r\n\x1e])",
          trigger=r"[\r\n][a-z][0-9]{1,4} (?:capability|fetch|login|logout|select|list|lsub|status|create|delete|rename|examine|append|search|store|copy|noop|authenticate|uid)"),
    Idiom("mail", "header", ATTACK, r"\x1e[^\n:\x1e]{1,80}\n(?:cc|to|from|reply-to|return-path|sender)[ \t]{0,3}:[^\n\x1e]{0,120}@[^\n\x1e]{0,120}(?:\n[^\n\x1e]{0,160}){0,2}\x1e", 400),
    Idiom("mail", "command", ATTACK, rf"{_ADDRESSED}[\r\n]{{1,2}}(?:data|rset)\s{{0,4}}[\r\n\x1e]", 400, trigger=r"[\r\n](?:data|rset)\s{0,4}[\r\n\x1e]"),
    Idiom("mail", "header", ATTACK, rf"[\r\n]bcc[ \t]{{0,3}}:[^\n\x1e]{{0,120}}@|{_ADDRESSED}[\r\n]{{1,2}}(?:[a-z-]{{2,30}}:[^\n\x1e]{{0,160}}\r?\n){{0,6}}"
          r"(?:cc|subject|sender|mime-version|content-transfer-encoding|to|reply-to|from|return-path)[ \t]{0,3}:", 400,
          trigger=r"[\r\n](?:(?:bcc|cc|subject|sender|mime-version|content-transfer-encoding)[ \t]{0,3}:|(?:to|reply-to|from|return-path)[ \t]{0,3}:)"),
    Idiom("mail", "command", ATTACK, r"[\r\n](?:(?:retr|dele|uidl|(?-i:TOP|LIST)) [0-9]{1,6}(?: [0-9]{1,6})?|apop [a-z0-9@._-]{1,64} [0-9a-f]{32}|user [a-z0-9@._-]{1,64}\s{1,4}pass [^\s\x1e]{1,64})\s{0,4}[\r\n\x1e]", 200),

    Idiom("prototype", "proto", ATTACK, r"__proto__"),
    Idiom("prototype", "constructor", ATTACK, r"constructor['\"]?(?:\[|\.|%5b|\]\[)\s{0,2}['\"]?prototype"),
    Idiom("prototype", "constructor", ATTACK, r"/constructor/prototype/"),
    Idiom("prototype", "constructor", ATTACK, r"\"constructor\"\s{0,8}:\s{0,8}\{[^{}\x1e]{0,200}\"prototype\"\s{0,8}:"),

    Idiom("command", "terminal-escape", LIKELY, r"\x1b\[[0-9;?]{0,12}[a-ln-z]|\\033\[[0-9;]{0,8}[a-z]"),

    Idiom("command", "redirection", LIKELY, r"\x1e\s{0,2}[0-9&]?[<>]{1,2}\s{0,2}/(?:etc|tmp|var|dev|proc|home|bin|usr|root|opt)/[a-z]", 200),

    Idiom("command", "line-break", LIKELY, r"\x1e(?:%0[ad]){1,4}\x1e"),
    Idiom("command", "line-break", LIKELY, r"\x1e[|;]\s?[a-z]{1,12}(?:\\[nr]|[\r\n]){1,4}\x1e"),
    Idiom("command", "separator", LIKELY, r"\x1e\s{0,2}(?:\|\||&&)[ \t]{1,4}\x1e"),
    Idiom("command", "separator", LIKELY, r"\x1e(?:id|ls|pwd|df)\s{0,2};\s{0,2}\x1e"),

    Idiom("command", "template", LIKELY, r"\x1e[a-z0-9]{0,8}(?:[;|&]|%0[ad]|\\[nr]|\$\(){1,4}\{[a-z]{2,12}\}[;|&)\x60]{0,2}\x1e"),

    Idiom("probe", "metacharacters", LIKELY, r"\x1e\s{0,2}(?:'\s?[\"\x60;|&()\\<>*]|\"\s?['\x60;|&()\\<>*]|\|\s?['\";&)(*]|&\s?[&|'\";)(]|;\s?['\"|&]|;;\s?['\"|&)(]|\)(?:\s?\)){0,4}\s?[('\";|&*]|"
          r"\((?:\s?\(){0,4}\s?['\"|&]|\\\s?['\"\\]|\*\s?[|)('\"&])[\s'\"\x60;|&()\\<>*!]{0,10}\x1e"),
    Idiom("probe", "metacharacters", LIKELY, r"\x1e\s{0,2}\((?:\s?\(){0,4}\s?\*(?:[\s'\"\x60;|&()\\<>!][\s'\"\x60;|&()\\<>*!]{0,9})?\x1e"),

    Idiom("scanner", "tool", ATTACK, r"acunetix[-_ ](?:wvs|aspect|product|user)|(?:nikto|nessus|openvas|netsparker|w3af)[-_](?:test|scan)|\binjectx\b", 400),
    Idiom("scanner", "collaborator", ATTACK, r"[a-z0-9-]\.(?:burpcollaborator\.net|oastify\.com|oast\.(?:me|pro|live|site|online|fun)|interact\.sh|interactsh\.com|dnslog\.(?:cn|link)|ceye\.io|"
          r"xss\.ht|bxss\.me|requestrepo\.com|canarytokens\.(?:com|org)|r87\.(?:me|com)|eyes\.sh)"),
)  # fmt: skip

JUDGE: Judge = IdiomJudge("lookups_crlf_prototypes", IDIOMS, TEXTS | HOP | JSON, cost=0.2)
