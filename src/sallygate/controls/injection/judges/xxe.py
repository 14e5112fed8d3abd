"""Judge of XML external entities: XML that makes its parser fetch, expand or run something.

Found are external entities, inclusions, style sheets and split markup.

Threat: a parser with entities on reads files, calls other hosts and expands a few lines into gigabytes, all before the
application sees the document. Evidence: a document type with an internal subset or an identifier of its own, an entity
declared anywhere, XInclude, a schema or style sheet fetched from elsewhere, transformations and what they call, and
CDATA sections cut so that markup appears only when they are joined.

A document type alone is honest when it names a published one (`<!DOCTYPE html>`, XHTML, SVG, property lists); so are
SOAP, RSS and SVG without one. An API that takes documents with entities of their own has to say so in its policy.

Known bypasses: a document in an encoding which was not decoded before; entities declared in a schema that the
application itself keeps; a schema's location on a host of the same domain as its namespace.
Cost: a substring search for each rule, and an expression for those whose literals are there.

Refuses to know which parser will read the text, and whether it is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.entities import html5

from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence
from sallygate.controls.injection.pipeline.judge_interface import TEXTS, XML, Judge
from sallygate.controls.injection.pipeline.literal_rules import Rule, lowered, rule_of

TRIGGERS: tuple[str, ...] = (
    r"<!doctype\s{1,20}[^\s>\[]{1,64}\s{0,20}(?:\[|system|public)",
    r"<!doctype\s{0,20}\[",
    r"!entity\s{1,20}[%a-z_]",
    r"<!(?:element|attlist|notation)\s",
    r"#(?:required|implied|fixed)\s{0,8}>",
    r"xinclude|:include\s",
    r"<xsl:|xsl/transform|msxsl:",
    r"<\?xml-stylesheet|<\?import\s",
    r"cdata\[[<>/]{1,2}\]\]|\]\]>\s{0,4}<!\[cdata\[",
    r"<xml\s{1,10}(?:id|src)\s{0,4}=",
    r"schemalocation\s{0,8}=",
    r"<[a-z]{1,12}:(?:import|redefine)\s",
    r"=\s*['\"]\s*(?:file|php|expect|gopher|jar|netdoc|phar|dict|ldaps?|tftp):",
    r"[\s>]&[a-z_][a-z0-9_.-]{1,40};\s{0,8}</",
    r"\x1e\s{0,8}[&%][a-z_][a-z0-9_.-]{1,40};\s{0,8}\x1e",
    r"=\s{0,4}['\"]&[a-z_][a-z0-9_.-]{1,40};['\"]",
    r"encoding\s{0,8}=\s{0,8}['\"](?:utf-?7|ibm|cp037|ebcdic|utf-?32)",
    r"\+ADwAIQ|\+ADw-?!",
)

_FOREIGN = r"(?:file|php|expect|gopher|jar|netdoc|phar|dict|ldaps?|tftp|glob|compress\.\w{1,8}|zip|data)\s{0,4}:"
_LITERAL = r"(?:\"[^\"<>]{0,2048}+\"?|'[^'<>]{0,2048}+'?)"
_DOCTYPE = re.compile(
    r"<!doctype(?:\s++[^\s>\[\"']{1,256}+)?\s*+"
    r"(?:(system|public)\b\s*+(" + _LITERAL + r")?\s*+(" + _LITERAL + r")?\s*+)?(\[)?"
)
_PUBLISHED_NAME = re.compile(r"[\"'][-+]//|[\"']iso[ /0-9]")
_HOST = re.compile(r"[\"']\s*+(?:(?:https?|ftps?|sftp|smb|ws):)?(?://|\\{2})([a-z0-9.:\[\]@-]{1,255}+)")
_PUBLISHERS = (
    "w3.org apple.com sun.com oracle.com jcp.org java.net oasis-open.org docbook.org apache.org hibernate.org "
    "jboss.org mybatis.org springframework.org netscape.com wapforum.org openmobilealliance.org microsoft.com "
    "xmlsoap.org nih.gov purl.org openebook.org daisy.org gribuser.ru cxml.org ariba.com sitemaps.org opengis.net "
    "topografix.com garmin.com google.com "
).split()
"""Where published document types and schemas live. Naming another host makes the parser call it."""
_ENTITY_REFERENCE = re.compile(r"[\s>]&([a-z_][a-z0-9_.-]{1,40}+);\s{0,8}</", re.IGNORECASE)
_ENTITY_ALONE = re.compile(
    r"\A\s{0,8}+(?:&([a-z_][a-z0-9_.-]{1,40}+);|%[a-z_][a-z0-9_.-]{2,40}+;)\s{0,8}+\Z"
    r"|=\s{0,4}(?:\"&([a-z_][a-z0-9_.-]{1,40}+);\"|'&([a-z_][a-z0-9_.-]{1,40}+);')"
)
"""A reference that is a whole value, or a whole attribute."""
_KNOWN_ENTITIES = frozenset(name.rstrip(";").lower() for name in html5)
_SCHEMA_LOCATION = re.compile(r"(nonamespace)?schemalocation\s{0,8}=\s{0,8}([\"'][^\"']{1,2048}+)")
_SPACE = re.compile(r"\s++")


RULES: tuple[Rule, ...] = (
    rule_of("external-entity", CERTAIN, "<!entity", r"<!entity\s++(?:%\s++)?[^\s\"'>%]{1,256}+\s++(?:system|public)\b"),
    rule_of("parameter-entity", CERTAIN, "<!entity", r"<!entity\s++%"),
    rule_of(
        "entity-expansion",
        CERTAIN,
        "<!entity",
        r"<!entity\s++[^\s\"'>%]{1,256}+\s++[\"'][^\"'<]{0,200}&[a-z_][\w.-]{0,60};\s{0,4}&[a-z_][\w.-]{0,60};",
    ),
    rule_of("entity-declared", ATTACK, "<!entity", r"<!entity\s++[^\s\"'>]{1,256}+"),
    rule_of("entity-declared", LIKELY, "!entity", r"!entity\s++%?\s{0,8}[^\s\"'>%]{1,64}+\s++(?:system|public)\b"),
    rule_of(
        "document-type-part",
        LIKELY,
        "<!element <!attlist <!notation",
        r"<!(?:element|attlist|notation)\s++[^\s>]{1,256}+\s",
    ),
    rule_of(
        "document-type-part",
        LIKELY,
        "#required #implied #fixed",
        r"#(?:required|implied|fixed)\b[^<>]{0,80}+>\s{0,8}+\]\s{0,4}+>",
    ),
    rule_of("inclusion", CERTAIN, ":include", r"<[a-z][\w.-]{0,20}:include\s[^<>]{0,1000}\bhref\s{0,8}=\s{0,8}[\"']"),
    rule_of("inclusion", ATTACK, "/xinclude", r"w3\.org/200[13]/xinclude"),
    rule_of(
        "transformation-call",
        CERTAIN,
        "php: document( unparsed-text msxsl: xalan exsl: system-property( java:",
        r"\bphp:function(?:string)?\s{0,4}\(|<msxsl:script\b|\bunparsed-text(?:-available)?\s{0,4}\(|=\s{0,4}[\"'][^\"']{0,200}\bdocument\s{0,4}\(\s{0,4}['\"&]"
        r"|\bsystem-property\s{0,4}\(\s{0,4}['\"&]|xmlns:\w{1,20}\s{0,4}=\s{0,4}[\"'](?:xalan://|java:|[^\"']{0,60}/xalan/java)|<exsl:document\b",
    ),
    rule_of("transformation-loaded", ATTACK, "<xsl:i", r"<xsl:(?:include|import)\s[^<>]{0,400}\bhref\s{0,8}="),
    rule_of(
        "transformation",
        LIKELY,
        "<xsl: /xsl/transform td/wd-xsl",
        r"<xsl:(?:stylesheet|transform|template|value-of)\b|w3\.org/(?:1999/xsl/transform|td/wd-xsl)",
    ),
    rule_of(
        "style-sheet",
        LIKELY,
        "<?xml-stylesheet <?import",
        r"<\?xml-stylesheet\s[^<>]{0,400}\bhref\s{0,8}=|<\?import\s[^<>]{0,400}\bimplementation\s{0,8}=",
    ),
    rule_of(
        "split-markup",
        ATTACK,
        "<![cdata[",
        r"<!\[cdata\[\s{0,4}[<>/]{1,2}\s{0,4}\]\]>|[a-z]\]\]>?\s{0,4}<!\[cdata\[[a-z]",
    ),
    rule_of("data-island", LIKELY, "<xml", r"<xml\s{1,10}(?:id|src)\s{0,4}=\s{0,4}[^\s>]"),
    rule_of(
        "schema-fetched",
        LIKELY,
        ":include :import :redefine",
        r"<(?:xsd?|xsdl?|wsdl|schema):(?:include|import|redefine)\s[^<>]{0,600}\b(?:namespace|schemalocation|location)\s{0,8}=\s{0,8}[\"']\s{0,8}"
        r"(?:https?:)?//(?!www\.w3\.org/|schemas\.xmlsoap\.org/|schemas\.microsoft\.com/)",
    ),
    rule_of(
        "foreign-address",
        ATTACK,
        "file: php: expect: gopher: jar: netdoc: phar: dict: ldap tftp:",
        r"<[a-z?][^<>]{0,1000}?=\s{0,8}[\"']\s{0,8}(?:file|php|expect|gopher|jar|netdoc|phar|dict|ldaps?|tftp):",
    ),
    rule_of(
        "encoding-hidden",
        ATTACK,
        "encoding",
        r"<\?xml\s[^<>]{0,200}\bencoding\s{0,8}=\s{0,8}[\"'](?:utf-?7|ibm-?\d|cp037|ebcdic)",
    ),
    rule_of("encoding-hidden", ATTACK, "+adw", r"\+adwaiq-?(?:doctype|entity|element)|\+adw-?!(?:doctype|entity)"),
)


class XxeJudge(Judge):
    """Judge of what XML makes its parser do."""

    name = "xxe"
    triggers = TRIGGERS
    kinds = TEXTS | XML
    cost = 0.3

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The strongest evidence of XML that reaches out in one text."""
        lower = lowered(text)
        best: Evidence | None = None
        for rule in RULES:
            if (best is not None and rule.score <= best.score) or not any(
                literal in lower for literal in rule.literals
            ):
                continue
            seen = rule.pattern.search(lower)
            if seen is not None:
                best = Evidence("xxe", rule.name, rule.score, seen.start(), seen.end())
        for look in (_document_type, _schema_location, _undeclared):
            if best is not None and best.score >= ATTACK:
                break
            found = look(lower)
            if found is not None and (best is None or found.score > best.score):
                best = found
        return best


JUDGE: Judge = XxeJudge()


def _document_type(text: str) -> Evidence | None:
    """A document type with a subset, or with an identifier that no standard publishes."""
    best: Evidence | None = None
    at = text.find("<!doctype")
    while at >= 0:
        seen = _DOCTYPE.match(text, at)
        if seen is None:
            break
        score = _type_score(seen[1], seen[2] or "", seen[3] or "", bool(seen[4]))
        if score and (best is None or score > best.score):
            best = Evidence("xxe", "document-type", score, seen.start(), seen.end())
        if score >= ATTACK:
            break
        at = text.find("<!doctype", seen.end())
    return best


def _type_score(kind: str | None, first: str, second: str, subset: bool) -> int:
    if subset:
        return ATTACK
    if kind is None:
        return 0
    system = first if kind == "system" else second
    if kind == "system" and "about:legacy-compat" in system:
        return 0
    host = _HOST.match(system)
    if host is not None and _published(host[1]):
        return 0
    if kind == "public" and not system:
        return 0 if _PUBLISHED_NAME.match(first) else ODD
    if (
        kind == "public"
        and host is None
        and _PUBLISHED_NAME.match(first)
        and not re.match(r"[\"']\s*" + _FOREIGN, system)
    ):
        return ODD
    return ATTACK


def _published(host: str) -> bool:
    name = _host_name(host)
    return any(name == publisher or name.endswith("." + publisher) for publisher in _PUBLISHERS)


def _schema_location(text: str) -> Evidence | None:
    """A schema fetched from a host which is neither a publisher's nor of its namespace's own domain."""
    for seen in _SCHEMA_LOCATION.finditer(text):
        words = _SPACE.split(seen[2][1:].strip())
        pairs = (
            [("", word) for word in words]
            if seen[1] or len(words) == 1
            else list(zip(words[::2], words[1::2], strict=False))
        )
        for namespace, location in pairs:
            host = _HOST.match('"' + location)
            if host is None or _published(host[1]):
                continue
            owner = _HOST.match('"' + namespace)
            if owner is None or _domain(owner[1]) != _domain(host[1]):
                return Evidence("xxe", "schema-fetched", LIKELY, seen.start(), seen.end())
    return None


def _domain(host: str) -> str:
    return ".".join(_host_name(host).rsplit(".", 2)[-2:])


def _host_name(host: str) -> str:
    """Without a user's name, which may look like a publisher's host, and without a port."""
    return host.rpartition("@")[2].partition(":")[0].strip(".")


def _undeclared(text: str) -> Evidence | None:
    """An element, an attribute or a value that holds nothing but a reference to an entity HTML does not know."""
    for alone in _ENTITY_ALONE.finditer(text):
        if (alone[1] or alone[2] or alone[3] or "") not in _KNOWN_ENTITIES:
            return Evidence("xxe", "undeclared-entity", LIKELY, *alone.span())
    if "&" not in text:
        return None
    for seen in _ENTITY_REFERENCE.finditer(text):
        if seen[1].lower() not in _KNOWN_ENTITIES:
            before = text[max(0, seen.start() - 1) : seen.start() + 1].rstrip()
            return Evidence(
                "xxe", "undeclared-entity", LIKELY if before.endswith(">") else ODD, seen.start(), seen.end()
            )
    return None
