r"""SQL injection: a value that does not stay one literal in the statement it is put into.

Threat: an application glues a value into a statement. Evidence: read as SQL from where the value could begin to be
code (its start, where a number was expected; behind its first quote, where a string was), it goes on as SQL: a
comparison, `union select`, a second statement, a comment that cuts off the rest, a subselect, a function that waits.
What stands before must be able to stand there: `1 or 10=10` alters a statement, `the 5 best or 10 = good` breaks it.

Short values are also told of which are nothing but a call, a name or a statement of a database (`version()`,
`information_schema.tables`, `drop table x`): no form asks for them.

Known bypasses: a break-out behind a quote that is not the first of its kind, unless a constant comparison, a comment or
an SQL keyword stands at it; one amid thousands of keywords, since so many tokens are read blind and the last ones first;
values split over two parameters; second-order injection; a dialect's own words that the tables do not hold.

Cost: a bounded lexer pass from the start and behind the first quote of each kind, one pass that hides nothing around the
words that hint, and about ninety linear expressions, of which only those are tried whose classes are present: 20
microseconds a short value, under two milliseconds for 8,192 characters, however hostile.
Refuses to know where the value came from and which database is behind.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from sallygate.controls.injection.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence
from sallygate.controls.injection.sqlhints import held_in, regions_of
from sallygate.controls.injection.sqllexer import TOKENS_MAX, Tokens, marked, read, read_blind
from sallygate.controls.injection.sqlrules import COMPUTED, IN_TEXT, PARENTHESISED, PROBE, TAIL, Place, Rule, folded, rules_for
from sallygate.controls.injection.sqlwords import DANGEROUS, FUNCTIONS, INQUIRING

_QUOTES = "'\"`"
_PREFIXED = "abcdefghijklmnopqrstuvwxyz_ "
"""What stands before the quote of a typed literal."""
BLIND_MAX = 2_048
"""Tokens of a text read blind: all of a window that is text, the first quarter of one that is punctuation."""
BEHIND_MAX = 64
"""Tokens read behind a quote; what stands further off is read blind."""
WHOLE_MAX = 200
"""Longer values are no single call, name or number."""
QUERY_TEXT_MIN = 64
BEFORE_MAX = 64
NEEDING_CLEAN = frozenset(("quoted-compare", "quoted-list", "quoted-commented", "quoted-stacked"))
"""Rules whose structure stands in JSON, markup and URLs too, so that what is before the quote must be a plain value."""
_CUT_NUMBER = re.compile(r"(?:\s*\d+(?:\s*\*\s*\d+)*(?:\s*/\*|\s+--)|\s*\d+(?:\s*\*\s*\d+)+\s*--)[\s+]*").fullmatch
_CONSTANTS = re.compile(r"[fTi+j&]\((?:[1svNqTf(),+&]|i[,)])*[c;]?").fullmatch
_BEGUN = re.compile(r"\s*(?:select\w{0,3}\s)?(\w{2,30})\s?=?\\?\s?\(\s*").fullmatch
_TYPES = frozenset("int integer char varchar nvarchar text numeric decimal signed unsigned".split())
_CELL = re.compile(r"[a-z]{1,3}\d{1,7}").fullmatch
"""Of a spreadsheet."""
_SAME = re.compile(r"[1N](?:&+[!+]*|=+)[1N]").fullmatch
_WHOLE = re.compile(
    r"""\s*(?:(?:\w{1,30}\.{1,2}){0,3}(?:information_schema|pg_catalog|xp_\w{3,40}|sysobjects|syscolumns|sqlite_master|all_tab_columns
    |msysaccessobjects|sp_(?:password|executesql|configure|oacreate|oamethod|addlogin|makewebtask|helptext)|sysdatabases|sysusers)
      (?:\.{1,2}\w{1,30})?(?:\s{1,3}['"@;].{0,60})?
    |mysql\.(?:user|db)|tempdb|msdb|schema_name|\)\s{0,3}like\s{0,3}\(
    |["'`](?:[-^*&=|<>!%+]{1,2}|\s(?:like|regexp|rlike)\s)["'`]?|\S{1,80}::(?:jsonb?|int\d?|bigint|text|varchar|numeric|double\ precision)
    |'{1,2}|`{1,2}|\d'\d|\d{1,9}(?:\s?--(?:\s-?)?|\s?;--|\#)|\d{1,4}/0--
    |(?:\d{1,9}\s{1,5})?drop\s{1,5}(?:table|database|schema|user|login|function|procedure|trigger)\s{1,5}\w{1,30}|truncate\s{1,5}table\s{1,5}\w{1,30}|/?create\s{1,5}table\s{1,5}\w{1,30}
    |grant\s{1,5}(?:all|all\s{1,5}privileges|select|execute)\s{1,5}on\s{1,5}\S{1,40}\s{1,5}to\s.{1,60}|create\s{1,5}user\s{1,5}\w{1,30}\s{1,5}identified\b.{0,60}
    |load\s{1,5}data\s{1,5}(?:local\s{1,5})?infile\b.{1,80}|create\s{1,5}function\b.{1,80}\b(?:soname|returns)\b.{0,80})\s*""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
).fullmatch
"""Values which are nothing but a name, a call or a statement of a database."""
_OPENERS = ("{", "[", ":")
"""Before a quote that may begin a JSON key or value rather than end a literal."""
_LITERAL = {
    quote: re.compile(rf"([^\\{quote}]*+(?:\\.[^\\{quote}]*+)*+){quote}\s*(?:[,:}}\])]|$)", re.DOTALL).match for quote in _QUOTES
}
_JOINS = re.compile(r"[\s|&+*=<>^;)-].*(?:[\s|&+*=<>^(-]|\b(?:x?or|and|[gr]?like|glob|regexp|between|in))", re.DOTALL).fullmatch
"""What a literal holds that is a break-out between two others."""
_SPACED_WORDS = ("select", "union", "from", "where", "or", "and", "like", "having", "by", "into")
_BEFORE_PLUS = tuple(word + "+" for word in _SPACED_WORDS)
_PLUS_BEFORE = re.compile(r"\+(?:" + "|".join(_SPACED_WORDS) + r")\b").search
_PLUS_BEHIND = re.compile(r"\b(?:" + "|".join(_SPACED_WORDS) + r")\+").search
_UNCLEAN = re.compile(r"[{}\[\]<>=:\"'`\\]").search

_LOGICAL = r"(?:or|and|xor|like|rlike|regexp|glob|in|is|not|between|div|mod|sounds|eqv|escape|collate|if)"
_OPERATED = r"[\s)+]{0,8}[-*/|&^%]{1,2}[\s+(!~\x00-\x1b\xc2]{0,4}[a-z_]{1,20}(?:\(\d?\))?[\s)+]{0,4}"
_CLAUSE = (
    r"(?:union|order|group|having|limit|into|procedure|exec|select|insert|update|delete|drop|declare|waitfor|intersect"
    r"|except|minus|goto|begin)"
)
_STACKED = (
    r"(?:drop|alter|create|truncate|insert|replace|update|delete|exec|execute|call|declare|waitfor|shutdown|select|if|begin"
    r"|while|set|use|print|copy|load|grant|revoke|backup|restore|goto|handler|rename|merge|vacuum|attach|pragma|do|prepare"
    r"|rollback|commit|lock|kill|reset|flush|desc|describe|explain|show|dbcc|bulk|reconfigure|deallocate)"
)
_COMPARED = r"(?:[=<>]|!=|(?:not[\s+/*]+)?(?:like|rlike|regexp|between|in|is|sounds|div|mod|glob)\b)"
_GAP = r"[\s+(!~/*\x00-\x1b\xc2\xa0-]"
_ENDED = r"(?:--|#|/\*|;|\x1e)"
_OPERAND_COMPARED = rf"(?:not[\s+(]+)?[^\s&\x1e:;{{]+(?:[\s)+/*]*[=<>!]|[\s)+/*\xa0'\"]+{_COMPARED})"
_STRING_COMPARED = rf"(?:'[^'\x1e]*'|\"[^\"\x1e]*\")(?:::\w+)?[\s)+]*(?:{_COMPARED}|@>|<@|\?|#>|->)"
_CALL_ENDED = rf"[a-z_]+\s?\([^\x1e]*\)[\s)+]*{_ENDED}"
_VALUE_ENDED = (
    rf"(?:true|false|null|@?[\d.]+|not\s\w+)[\s)]*{_ENDED}|exists\b|case\b|if\(|[\w.]+[\s)]*(?:--(?:[\s+-]|\x1e)|#\x1e)"
)
"""Without bounds, which an automaton would have to count to: what is behind `or`."""
_CALLED = (
    r"(?:sleep|benchmark|randomblob|zeroblob|generate_series|load_file|load_extension|extractvalue|updatexml|name_const|xmltype"
    r"|openrowset|writefile|readfile|lo_import|lo_export|ascii|ord|hex|unhex|len|length|conv|convert|mid|substr|substring|left"
    r"|md5|lower|upper|charset|coercibility|compress|uncompress|user|database|schema|version|current_user|session_user"
    r"|system_user|isnull|ifnull|nullif|coalesce|count|char|chr|concat|concat_ws|group_concat|cast|elt|make_set|find_in_set"
    r"|encode|decode|sysdate|pow|power|div|rand|floor|exp|iif|db_name|user_name|unistr|starts_with|gtid_subset|insert)"
)
TRIGGERS: tuple[str, ...] = (
    rf"union(?:{_GAP}|all|distinct|values|table|select|[{{\"'`@]|\x1e|--|#)",
    r"select[\s\x00-\x1b\xc2(*/+@\[!`{~#-]{1,20}[^\x1e]",
    r"select['\"][\w@]",
    rf"['`][\s)+;\x00-\x1b\xc2]{{0,12}}{_CLAUSE}\b",
    rf"['`][\s)+;!/*\x00-\x1b\xc2]{{0,12}}{_LOGICAL}(?:{_GAP}|['\"@.]|\x1e|\d|#)",
    rf"\"[\s)+;!/*\x00-\x1b\xc2]{{0,12}}{_LOGICAL}(?:[\s+(!~@/*\d#\x00-\x1b\xc2]|\"[\w\" ]|\x1e)",
    rf"\"[\s)+;\x00-\x1b\xc2]{{0,12}}{_CLAUSE}[\s+(!/*\x00-\x1b\xc2]",
    r"['`][\s)+]{0,8}(?:[<>=!^*+/%|&~-]|:=){1,3}[\s+(!~]{0,20}(?:['`\"\d(@\x1e]|--|#|/\*|(?:true|false|null|like|in)\b)",
    r"['`][\s)+;\x00-\x1b]{0,8}(?:--(?:[\s+-]|\x1e)|#|/\*)",
    r"'[\s)+]{0,8}(?:;[\s)]{0,4}\x1e|,[\s+(]{0,3}(?:null|\d{1,4}[\s)]{0,3}(?:,|--|#)))",
    rf"(?:['`]|\"[\s)]{{0,4}}[*|^%/&]){_OPERATED}(?:[-=!<>|&*^%]|(?:in|like|rlike|regexp|xor|or|and|is|between)\b)",
    r"(?:or|and)[\s+(]{0,3}(?:/\*|#\n|--[^\x1e\n]{0,20}\n)", r"\n(?:and|or|xor|union)(?:#|--|\s?[\d'(])",
    r"\"[\s)+]{0,8}(?:or|and|xor)-{1,2}[\d\"'(]", r"\"[\s)+]{0,4}=[;=\s!-]{1,8}[\"'\d(]", r"'\s?is\\n", r"\x1e\d?['`]{1,2}\d?\x1e",
    rf"(?:\d|\x1e|\)){_GAP}{{0,6}}(?:\|\||&&){_GAP}{{0,8}}[a-z_]{{2,20}}(?:\(|\s(?:is|in|like|not)\b)",
    r"['\"`][\s)+]{0,8}(?:[|&^*%+/<>-]{1,2}[\s+(!~]{0,4}[a-z_]{2,20}\s{0,2}\(|collate\b)",
    r"['\"][\s)+]{0,8}(?:\|\|?|&&?)[\s+(!]{0,4}[a-z_]{1,20}[\s+]{0,3}(?:[=<>]|\x1e|--|#)",
    r"\"[\s)+;]{0,8}(?:--(?:[\s+-]|\x1e)|#[\s\x1e]|/\*)",
    r"\"[\s)+]{0,8}(?:[|^*%<>=-]{1,3}|&&)[\s+]{0,2}[\"'(]\s{0,2}[^,:}\]\x1e;]",
    r"\x1e[\"'`](?:[-^*&=|<>!%+]{1,2}|\s(?:like|regexp|rlike)\s)[\"'`]?\s{0,2}\x1e",
    r"\"[\s)]{0,4}(?:[|^*%-]|&&|\|\||=[\s=]{0,3})\s?(?:\d[\w.]{0,8}[\s)]{0,3}(?:--|#|/\*|\x1e|[=<>])|true)",
    r"\"[\s)]{0,4};[\s)]{0,4}\x1e",
    rf"(?:\d|\x1e|\))\.?{_GAP}{{0,9}}(?:or|and|xor|&&|\|\|){_GAP}{{0,9}}(?:[\d.]{{1,6}}[\s+]{{0,3}}{_ENDED}|true\b|false\b|null\b|@)",
    r"\d(?:or|and|xor)[\s(+!~'\"@/-]",
    rf"\b(?:or|and|xor)\b{_GAP}*(?:{_OPERAND_COMPARED}|{_STRING_COMPARED}|{_CALL_ENDED}|{_VALUE_ENDED})",
    rf"(?:\|\||&&){_GAP}{{0,8}}(?:['\"][^'\"\x1e]{{0,20}}['\"]|[\d.]{{1,6}}|[\s+(!][a-z_.]{{1,20}})[\s)+]{{0,4}}(?:[=<>]|like\b|--|#)",
    rf"(?:\|\||&&){_GAP}{{0,8}}(?:sleep|case\b|true\b|not\b|exists\b|if\()",
    r"[\d)a-z'\"`]\s{0,3};?--(?:[\s+]-?)?[\s+]{0,4}\x1e", r"\x1e\s{0,3}\d{1,9}\s{0,3}(?:#\s{0,2}\x1e|;?--(?:[\s+]|\x1e)|/\*|/0)", r"/\*!",
    r"[\d)'\"]\s{0,3}/\*\s{0,3}\x1e", r"/\*{2}/(?:or|and|xor|union|select|from|where|like|order|into)\b",
    rf";[\s+*/]{{0,8}}{_STACKED}[\s+(@/*;\[\x00-\x1b\xc2]", r";[\s+]{0,8}(?:shutdown|rollback|commit|vacuum)[\s;-]{0,6}\x1e",
    r"(?:order|group)[\s+/*\x00-\x1b\xc2]{1,20}by[\s(+*/\x00-\x1b\xc2]", r"procedure[\s+/*]{1,20}analyse", r"declare[\s+/*]{1,20}@",
    r"(?:sleep|benchmark|randomblob|zeroblob|generate_series|load_file|load_extension|extractvalue|updatexml|name_const|xmltype"
    r"|openrowset|opendatasource|receive_message|get_host_(?:address|name)|sqlid_to_sqlhash|gtid_\w{1,9})\s{0,2}\(",
    r"waitfor[\s+/*]", r"\bhaving[\s(+]", r"\bcase[\s(+][^\x1e]{0,80}when\b", r"@@?\w{1,40}\s{0,4}(?:--|/\*|\)|#)",
    r"@@(?:version|hostname|datadir|basedir|servername|tmpdir|spid|language|global|session|secure)",
    r"outfile|dumpfile|infile\b", r"\bexec(?:ute)?[\s+(/*]", r"(?:insert|merge|replace)[\s+/*]{1,20}into",
    r"\bupdate[\s+/*]{1,9}\S{1,40}[\s+/*]{1,9}set\b", r"where[\s+(/*]{1,9}\S{1,40}\s{0,9}(?:=|<|>|like\b|in\b)",
    r"\bfrom[\s+(/*`]{1,8}(?:\w{1,30}\.{1,2}\w|information_schema|sys|dual\b|pg_|sqlite_|all_|user_|dba_|mysql|v\$)",
    r"(?:create|drop|alter|backup|truncate)[\s+/*]{1,20}(?:table|database|user|schema|function)", r"delete[\s+/*]{1,20}from",
    rf"\$\$[\s)]{{0,8}}(?:{_LOGICAL}|union|;|\|\||--)", r"'\s{0,3},\s{0,3}\w{1,30}\s{0,3}=[^\x1e]{1,80}(?:where\b|--|#)", r"'\s{1,4}in\s{1,4}(?:boolean|natural)\s", r"\x1e\(\d{2,9}=\d{2,9}\)[*+/&]", r"\binto\s{1,4}@\w",
    r"sp_password|ctxsys\.|\x1e\s{0,3}(?:host_name|schema_name|current_user|selectect)", r"\x1e\s{0,3}(?:or|and|xor)[\s+]{1,4}\d\s{0,3}\x1e",
    r"(?:or|and|xor|\|\||&&)[\s+(!]{0,4}(?:(?:bool|boolean|date|time|timestamp|interval)\s?'|not\s(?:bool|date|time)|\{\s?[a-z]{1,20}[\s+(`])",
    r"(?:or|and|xor|\|\||&&)[\s+(!]{0,4}[\w.]{1,40}[\s)+/*]{1,9}(?:not[\s+/*]{1,9})?(?:isnull|notnull|similar|overlaps|member|operator)\b", r"\^@\s?['\"]",
    r"['\"]\s?[+|=]{1,2}\s?[a-z_]\w{0,30}\s?[+|=]{1,2}\s?['\"]\x1e",
    r"(?:or|and|xor|\|\||&&)[\s+(!]{0,4}\(\s?[\w.]{1,40}\s?,", r"\x1e\s{0,3}[\w.-]{1,40}\s?[-*+/^%|&]{1,2}[\s(]{0,3}\([\s(]{0,3}[\w.]{1,40}[\s)]{0,3}(?:[=<>!]|not|like|r|glob|in)",
    r"\x1e\s{0,3}i?if\s?\(\s?[\w.]{1,40}\s?(?:[=<>!]|like|r)", r"\x1e\s{0,3}[(\w.]{1,40}\s{1,3}(?:regexp|rlike|like|glob)[\s(]{0,3}['\"(]", r"\x1e\d{1,9}\s{0,3}(?:regexp|rlike)\s{0,3}\(",
    r"['\"]\s{0,3},\s{0,3}\w{1,30}\s{0,3}=\s{0,3}(?:['\"\dx]|null\b|true\b|false\b)", r"\)\s{0,3}returning[\s(]", r"on[\s+]{1,4}(?:duplicate[\s+]{1,4}key|conflict)\b",
    r";[\s+*/]{0,8}(?:(?:un)?install|change|purge|reindex|start|stop|import|reassign|security)[\s+*/]{1,8}(?:plugin|component|soname|master|replication|binary|table|database|system|index|schema|slave|replica|foreign|owned|label)\b",
    r"\x1e1[\s+]{1,4}like", rf"\x1e\s{{0,3}}{_CALLED}\s{{0,2}}=?\\?\(", r"\b(?:pg_|json_|jsonb_|sqlite_|dbms_|utl_|lo_|fn_)\w{1,30}(?:\.\w{1,30})?\s{0,2}\(",
    rf"(?:or|and|xor|[=|&,+-]){_GAP}{{0,8}}(?:ascii|ord|hex|conv|mid|substr|substring|md5|length|len|char|chr|concat|elt|make_set|exp)\s{{0,2}}\(",
    r"(?:ascii|ord|hex|unhex|len|length|conv|mid|substr|substring|left|md5|lower|upper|charset|coercibility|compress|uncompress"
    r"|convert|cast)\s?\(\s?(?:int\s?,\s?)?(?:\w+\s?\(\s?)*(?:version|database|current_user|user|load_file|@@|select|passw)",
    r"[\x1e'][\s)]{0,3}\d{0,4},\s?null,\s?null", r"\d-(?:true|false|null)", r"\x1e\s{0,2}[,;]{1,2}\s{0,2}(?:find_in_set|drop|truncate|declare)",
    r"information_schema|sysobjects|syscolumns|sysdatabases|sysusers|pg_catalog|sqlite_master|msysaccess|all_tab_columns|all_objects",
    r"\x1e(?:mysql\.(?:user|db)|tempdb|msdb|schema_name)\x1e", r"xp_cmdshell|xp_dirtree|xp_reg|sp_(?:password|executesql|oa|configure|addlogin)",
    r"(?:if|elt|make_set|count|coalesce|ifnull|nullif|case)\(\s{0,3}(?:['\"\d]\w{0,5}['\"]?\s{0,2}[=<>]|\w{1,20}\()", r"(?:user|database|version|schema)\(\)", r"'\s?::\s?(?:json|int|text|varchar|numeric)",
    r"\w\)?::(?:json|int|bigint|text|varchar|numeric|double)[\w ]{0,12}\x1e", r"\x1e\d{1,9}[\s+]{1,4}as[\s+\"]", r"\d\.\d{0,9}e[.(]",
    r"\x1e\d{1,9}[\s+]{0,4}[=<>]{1,2}[\s+]{0,4}\d", r"\x1e\s{0,2}'[^'\x1e]{0,400}'\s{0,3}(?:[=<>]|!=)", r"\)\s{0,3}like\s{0,3}\(",
    r"\x1e\d{1,9}[\s)+]{0,5}(?:limit|where|rlike|in)[\s(+]", r"\x1e\s{0,3}grant\s", r"\x1e\s{0,3}desc\s",
)  # fmt: skip
"""Every structure the rules tell of holds one of these; single words only where honest values hardly bear them."""


def judge(text: str) -> Evidence | None:
    """The strongest sign of SQL in `text`, `+` read as itself and, where it may be one, as a space."""
    twice = "+" in text and (" " not in text or _plus_for_space(text.lower()))
    budget = BLIND_MAX // 3 if twice else BLIND_MAX
    best = _judged(text, budget)
    if twice and (best is None or best.score < CERTAIN):
        other = _judged(text.replace("+", " "), budget)
        if other is not None and (best is None or other.score > best.score):
            return other
    return best


def _plus_for_space(lower: str) -> bool:
    """Whether a word of SQL has a `+` for a neighbour."""
    if any(word in lower for word in _BEFORE_PLUS) and _PLUS_BEHIND(lower):
        return True
    return _PLUS_BEFORE(lower) is not None


def _judged(text: str, budget: int) -> Evidence | None:
    lower = marked(text)
    tokens = read(lower, 0, TOKENS_MAX)
    best = _from_start(text, tokens)
    quoted = False
    for quote in _QUOTES:
        at = text.find(quote)
        if at < 0:
            continue
        quoted = True
        best = stronger(best, _behind_quote(text, lower, at + 1))
        if at > 0 and text[at - 1] == "\\":  # an escape that holds keeps this one inside the literal
            at = text.find(quote, at + 1)
            if at >= 0:
                best = stronger(best, _behind_quote(text, lower, at + 1))
        if best is not None and best.score >= CERTAIN:
            return best
    if "$$" in text:  # a dollar quote of PostgreSQL
        best = stronger(best, _behind_quote(text, lower, text.find("$$") + 2))
    if (quoted or len(tokens.kinds) >= TOKENS_MAX or tokens.flat.endswith("c")) and (
        best is None or best.score < CERTAIN
    ):
        found = _blindly(lower, budget)
        if found is not None and not (best is not None and best.score == ODD and found.rule == best.rule):
            best = stronger(best, found)
    return best


def _from_start(text: str, tokens: Tokens) -> Evidence | None:
    """`text` read from its start, as where a number was expected, and as a whole."""
    best = _by_rules("anywhere", tokens.flat, tokens, 0)
    found = _by_rules("from-start", tokens.flat.replace("m", "f"), tokens, 0)
    if found is not None and found.rule == "commented" and tokens.comment.strip(" -+/*"):
        found = None
    best = stronger(best, found)
    if best is None:
        best = _of_folded("from-start", tokens, 0) or _of_whole(text, tokens)
    return _discounted(best, tokens)


def _behind_quote(text: str, lower: str, start: int) -> Evidence | None:
    """`text` read from `start`, behind a quote that may have ended the literal it stands in."""
    tokens = read(lower, start, BEHIND_MAX)
    best = _by_rules("anywhere", tokens.flat, tokens, start)
    called = tokens.flat.replace("m", "f")
    found = _by_rules("behind-quote", called, tokens, start) or _of_folded("behind-quote", tokens, start)
    if found is not None and not _holds(text, start, found):
        found = None
    best = stronger(best, found)
    if best is None and PROBE.search(called) and _is_probe(text, start, tokens):
        end = tokens.spans()[-1][1] if tokens.flat else len(text)
        best = Evidence("sql", "quoted-probe", LIKELY, start - 1, end)
    return _discounted(best, tokens)


def _is_literal(text: str, start: int) -> bool:
    """Whether the quote at `start - 1` begins a literal of a list, of an object or of a pair that ends the text."""
    found = _LITERAL[text[start - 1]](text, start)
    return found is not None and _JOINS(found[1].lower()) is None


def _of_folded(place: Place, tokens: Tokens, start: int) -> Evidence | None:
    """What the rules say where operands of several tokens are one."""
    kinds = folded(tokens.spelled)
    if kinds is None:
        return None
    simpler = replace(tokens, kinds=kinds, flat=kinds.replace("(", "").replace(")", ""))
    found = _by_rules(place, simpler.flat.replace("m", "f"), simpler, start)
    return found and Evidence("sql", found.rule, found.score, start, tokens.spans()[-1][1])


def _holds(text: str, start: int, found: Evidence) -> bool:
    """Whether what stands before the quote at `start - 1` may end there."""
    if text[: start - 1].rstrip()[-1:] in _OPENERS and _is_literal(text, start):
        return False
    if found.rule == "quoted-commented" and len(text[:start].split()) > 1:
        return False
    return found.rule not in NEEDING_CLEAN or _is_bare(text, start)


def _blindly(lower: str, budget: int) -> Evidence | None:
    """`lower` read with nothing hidden, for what stands behind decoys: more quotes, words and comments."""
    best: Evidence | None = None
    for low, high in reversed(regions_of(lower)):  # an attack behind padding stands last
        tokens = read_blind(lower[low:high], budget)
        budget -= len(tokens.kinds)
        flat = tokens.flat if high == len(lower) else tokens.flat + "?"  # `$` is the end of the text alone
        found = _by_rules("anywhere", flat, tokens, 0, whole=low == 0)
        ended = _by_rules("blind", flat, tokens, 0)
        if ended is not None and ended.rule == "padded-comment" and tokens.words()[-1][0] == "#":
            ended = None  # `"red '#"`: too common where nothing else tells
        found = stronger(found, ended)
        if found is not None:
            best = stronger(best, Evidence("sql", found.rule, found.score, found.start + low, found.end + low))
        if budget <= 0 or (best is not None and best.score >= CERTAIN):
            break
    return best


def _discounted(found: Evidence | None, tokens: Tokens) -> Evidence | None:
    if found is not None and found.rule == "statement" and _is_query_with_text(tokens):
        return Evidence("sql", "statement", ODD, found.start, found.end)
    return found


def stronger(one: Evidence | None, other: Evidence | None) -> Evidence | None:
    """The one with the higher score, the first when they are equal."""
    if one is None or (other is not None and other.score > one.score):
        return other
    return one


def _by_rules(place: Place, flat: str, tokens: Tokens, start: int, *, whole: bool = True) -> Evidence | None:
    best: tuple[Rule, re.Match[str]] | None = None
    for rule in rules_for(place, frozenset(flat)):
        if best is not None and rule.score <= best[0].score:
            continue
        found = rule.search.search(tokens.kinds if rule.parens else flat, len(flat) - TAIL if rule.tail else 0)
        if found is not None and (whole or found.start()):  # `^` is the start of the text alone
            best = rule, found
            if rule.score >= CERTAIN:
                break
    return None if best is None else _told(*best, tokens, start)


def _of_whole(text: str, tokens: Tokens) -> Evidence | None:
    for number in held_in(tokens.text):
        found = IN_TEXT[number].search(tokens.text)
        if found is not None:
            return Evidence("sql", "in-text", ATTACK, found.start(), found.end())
    if len(text) > WHOLE_MAX or not tokens.flat:
        return None
    ended = tokens.kinds.endswith("c") and not tokens.comment.strip(" -+")
    if ended and text[tokens.spans()[-1][0]] != "#" and (PARENTHESISED(tokens.kinds) or _CUT_NUMBER(text)):
        return Evidence("sql", "commented", LIKELY, 0, len(text))
    if _is_call(text, tokens) or _is_same(tokens) or _is_computed(tokens) or _WHOLE(text):
        return Evidence("sql", "whole", LIKELY, 0, len(text))
    return None


def _is_call(text: str, tokens: Tokens) -> bool:
    """One call of a database's function, with constants, or its beginning."""
    begun = _BEGUN(text)
    if begun is not None:
        word = begun.group(1).lower()
        return word in FUNCTIONS or word in DANGEROUS or word in INQUIRING
    if tokens.flat[0] not in "fTi+j&" or tokens.kinds[1:2] != "(":
        return False
    words = tokens.words()
    named = [word for word, kind in zip(words[1:], tokens.flat[1:], strict=True) if kind == "i"]
    return words[0] in INQUIRING and not set(named) - _TYPES and _CONSTANTS(tokens.kinds) is not None


def _is_same(tokens: Tokens) -> bool:
    """`1 or 1`, `5 = 5`."""
    if not _SAME(tokens.flat):
        return False
    words = tokens.words()
    first, operator, second = words[0], words[1], words[-1]
    if {first, second} <= {"true", "false"} and tokens.flat[1] == "&":
        return False  # `false or true`: it is asked about
    if tokens.flat[1] == "=" and operator not in ("=", "like", "<=>"):
        return False
    return first == second or (tokens.flat[1] == "&" and second in ("0", "1", "true", "false"))


def _is_computed(tokens: Tokens) -> bool:
    """`1-(id=2)`, `if(pw>'m',id,name)`: neither of a spreadsheet nor of mathematics."""
    found = COMPUTED(tokens.kinds)
    if found is None:
        return False
    words, at = tokens.words(), tokens.flat.index("=")
    name, operator, literal = words[at - 1 - (tokens.flat[at - 1] == "!")], words[at], words[at + 1]
    if found.lastgroup == "match":
        wild = found[0][0] == "(" and operator in ("like", "glob") and any(mark in literal for mark in "%*_")
        return operator in ("regexp", "rlike") or wild
    if found.lastgroup == "number":
        return len(name) > 1 and not _CELL(name)
    return literal.startswith(("'", "0x")) and not _CELL(name)


def _is_query_with_text(tokens: Tokens) -> bool:
    """`select * from x where a = '...'`, as beacons wrap their data in: one table, one long literal, nothing else."""
    return (
        tokens.flat.startswith("S*FiWi=") and tokens.flat[7:8] in ("s", "q") and len(tokens.words()[7]) > QUERY_TEXT_MIN
    )


def _told(rule: Rule, found: re.Match[str], tokens: Tokens, start: int) -> Evidence:
    if rule.parens:
        before = found.string[: found.start()]
        first = found.start() - before.count("(") - before.count(")")
        last = first + sum(kind not in "()" for kind in found.group()) - 1
    else:
        first, last = found.start(), found.end() - 1
    spans = tokens.spans(last + 1)
    last = min(max(last, first), len(spans) - 1)
    first = min(first, last)
    return Evidence("sql", rule.name, rule.score, min(start, spans[first][0]), spans[last][1])


def _is_bare(text: str, start: int) -> bool:
    """Whether a plain value stands before the quote at `start - 1`: no JSON, markup or URL."""
    before = text[: start - 1].removesuffix("\\")
    return len(before) <= BEFORE_MAX and text[start - 1] != "`" and not _UNCLEAN(before)


def _is_probe(text: str, start: int, tokens: Tokens) -> bool:
    """Whether a weak structure is all there is: at most one plain word before it and no prose behind."""
    before, mark = text[: start - 1], text[start - 1]
    if before.endswith(_OPENERS) and not _is_literal(text, start):
        before = before[:-1]
    if len(before) > BEFORE_MAX or len(before.split()) > 1 or _UNCLEAN(before.replace('"', "").replace("\\", "")):
        return False
    spoken = any(word.isalpha() for word in tokens.words()) and "!" not in tokens.flat and "+" not in tokens.flat
    if mark != "'" and tokens.flat != "c" and (not before.strip() or spoken):
        return False
    if tokens.flat[-1:] == "q" and (tokens.words()[-1].lstrip(_PREFIXED)[:1] != mark or len(tokens.words()[-1].split()) > 3):
        return False
    if tokens.flat[-1:] == "c":
        said = tokens.comment.split()
        if said and mark != "'":
            return False
        return len(said) <= 2 and (tokens.words()[-1][0] != "#" or not said or not said[0][:1].strip("+").isalnum())
    return True
