"""Rules of SQL injection: expressions over classes of tokens, one table for each place that a text is read from.

`1 or id = 2` is `1&i=1`: a digit stands for a number, `&` for a logical word, `=` for any comparison, `i` for a name; all
letters are listed beside the words they stand for. An expression is a structure, never one word.

Cost: each is linear in the tokens read, and tried only where the classes it needs are present. Refuses to know how a text becomes tokens, and where reading starts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from sallygate.controls.injection.judges.sql.sql_words import SPELLED
from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY

_OPS = "[&=+*!~]"
_VAL = "[1svNfTY]"
_ANY = "[1svNfTYiq]"
_END = "(?:[c;]|$)"
TAIL = 64
"""Tokens at the end of a text, more than any structure takes that has to end there."""


class Rule(Struct, frozen=True, gc=False):
    """Rule of SQL injection: an expression over token classes, with its name and score."""

    name: str
    score: int
    needs: tuple[frozenset[str], ...]
    """Sets of classes; the rule is tried where all of one of them are present."""
    search: re.Pattern[str]
    parens: bool = False
    """Whether it is searched for in the classes with parentheses."""
    tail: bool = False
    """Whether it is searched for in the last `TAIL` tokens only: it ends where the text does."""


def _rule(name: str, score: int, needs: str, pattern: str, *, parens: bool = False, tail: bool = False) -> Rule:
    return Rule(name, score, tuple(map(frozenset, needs.split())), re.compile(pattern), parens, tail)


ANYWHERE: tuple[Rule, ...] = (
    _rule("union-select", CERTAIN, "US", r"UA*SA*[!+]*(?:[1svNqfTYZC*]|i[,.F;cULOWq=]|,|\.[i1])|SU1,"),
    _rule("union-select", ATTACK, "US", r"U(?:(?<=[1svNqc]U)[{A]*S|A*[{]+S|AS(?!e))"),
    _rule("union-select", CERTAIN, "UV", r"UA*V[1svNfqm]"),
    _rule("sleeping-function", ATTACK, "T", r"(?:^|[&=+*!,;FSZWhgl1svNqOBf]|;i\.|bi\.)T"),
    _rule("waitfor", CERTAIN, "wz", r"wz[sq1v]"),
    _rule("catalogue", ATTACK, "FY IY JY SFo", r"[FIJ](?:i\.+)*Y|S[^;]{0,60}Fo(?:[c;UW&sq)]|$)"),
    _rule("catalogue", LIKELY, "Y.i", r"[.,]Y\.i|i\.Y\.i$"),
    _rule(
        "subselect", CERTAIN, "S", r"\(+SA*[!+(]*(?:[*1svNfTq]|m|i(?:[,.F]|[+*][1(]|&[si]&|$)|Zf|C|=\()", parens=True
    ),
    _rule("statement", CERTAIN, "SF", r"SA*1?(?:\*|v|N?[fm])(?:[^;]{0,60})F[(i]", parens=True),
    _rule(
        "statement",
        CERTAIN,
        "SF",
        r"SA*[si]FY|SA*s?FiW|S(?:A*(?:1(?:i\.)?\*?|(?:i\.)?\*))?F(?:i\.|\.)*[iY](?:[WJLOc;,]|$)|S\*F[iY]",
    ),
    _rule("statement", ATTACK, "SF", r"^SA*(?=[^F]{0,80}[,fv])[i1svNYfm,.+*]{1,80}F[iY](?:[WJLOc;,qs.]|$)"),
    _rule("statement", ATTACK, "S", r"S(?:(?<=^S)(?!s(?:=s)+$)|(?<=[;c=]S))A*[!+]*(?:v|f|[1sN][,=+&ac;U]|1$|ss$)"),
    _rule(
        "statement", CERTAIN, "jIV jIS uxi=", r"jI(?:i\.)*[iYm](?:i[,.i]{0,40})?[VS]|(?:^|[;1sq])u(?:i\.)*ix(?:i\.)*i="
    ),
    _rule("statement", ATTACK, "SFWi=", r"SA*i(?:,i){0,20}Fi(?:\.i)*Wi(?:\.i)?=+[1svf]"),
    _rule("statement", ATTACK, "SAiF", r"SA+\(+i\)+F", parens=True),
    _rule(
        "statement",
        ATTACK,
        "kF f1=, 1SF",
        r"(?:^|;)kF(?:i\.)*[iY][W;c]|^[!+]*1kF(?:i\.)*[iY](?:Wi|c)|^[!+]*1SA*(?:i,?){1,20}F(?:i\.)*[iY](?:c|;$)|^(?:i,)?f1=1,",
    ),
    _rule(
        "stacked",
        CERTAIN,
        ";",
        r";(?<!;;);*+(?:d[tPU]|dic|jI|ui(?:\.i)*x|kF|kii?F|X(?:[Ysvfm]|i[.sqv1,=c])|f1=1|yv|yi(?:i[c;=]|[fm])|wz"
        r"|SA*[!+]*[1svNqfTY*]|Si[,F]|bd|b[yTXS]|Zf|G[Yt]|GiF[s(]|G[mf]|Gic)",
    ),
    _rule("stacked", ATTACK, ";", r";[Qw](?:c|$|[z;])|;[KZ][1(]|;G(?:s|1[c;])|;Gi{2,4}s"),
    _rule("dump", CERTAIN, "R", r"I?R[sq(]|Rf"),
    _rule("case", ATTACK, "Chg", r"C[1svNfTi]*h[^g]{1,60}g[1svNfTiSZq(]"),
    _rule("analyse", CERTAIN, "P", r"P[fm]|Pi\(", parens=True),
    _rule(
        "declare", CERTAIN, "yv xv= X. UX", r"yvA?a?[ifm]|xv=[fsq1]|X(?:Y|i)\.\.[iY]|UX|(?<!\.)X(?:i\.)+(?:Y|[im][sv])"
    ),
    _rule("where", ATTACK, "W= H=", r"W!?([1s])=+\1|H!?[1s]=+[1s]"),
    _rule("group-by", ATTACK, "OBf SOBH", r"[1vNsq]OBf|SA*i[^;]{0,40}OBi(?:\.i)?H|OBf[^;]{0,60}[f+H]"),
    _rule(
        "peek",
        ATTACK,
        "&1=f &1=v &f= XY XQ ;bi. Gt= GFs",
        r"&+[!+]*(?:1=+[fv]|f+[1svNf,]*=+[1sfq])|X[YQ]|;bi\.i|^Gtie?i=|^GiFs",
    ),
    _rule("table", ATTACK, "dt", r"dt(?:Z!?i)?(?:i\.)?i(?:\([if]+[,;)1(]|;|c|M|d)|(?<![ie])dtZ!?i", parens=True),
    _rule("branch", ATTACK, "f=, Z=,", r"[fZ]\(+[1sNq]=+[1sNq],", parens=True),
    _rule("cast", ATTACK, "Sf", r"[&=]f[^;]{0,40}Sf"),
    _rule("cast", ATTACK, ",f&", r"^[!+]*[1sNvi],f\(+f\([^()]*\)(?:&f\([^()]*\))*&f\(", parens=True),
)
"""Said of any starting point: SQL, whatever stands before."""

_LOGIC = (
    rf"(?:[vNfTY1]|s(?=[=c,;ULOH+*~]))(?:!?[=&c,;ULOHJW]|$|[+*!~]+[1svNfTYq])"
    rf"|f|T|[vY]|S|L=1|C[1sfvh]|i=[!+]*{_ANY}|i(?:\.i)?[+*.=]+[1svqNf]|ic"
)

BEHIND_QUOTE: tuple[Rule, ...] = (
    _rule("quoted-logic", CERTAIN, "&=", r"^s*+;?&+[!+]*(?:[1svNfi]|f[^;&]{0,30})!?=+[!+]*(?:[1svNqf]|i(?:[c&]|$))"),
    _rule("quoted-logic", ATTACK, "&", rf"^s*+;?&+[!+A]*(?:{_LOGIC})"),
    _rule("quoted-match", ATTACK, "&= =i", r"^&+=+i{1,3}f?s|^=ii(?:c|;|OB|U|&+[!+]*(?:[1svN]=|f))"),
    _rule(
        "quoted-clause",
        ATTACK,
        "U OB H L I P",
        r"^(?:[1N]|s*+)(?:U(?:[AS1cV]|t|$)|OB[1ifsNvC]|H[1fis!N*]{0,9}=|L1(?:[,c;L]|$)|I[Rv]|P[fi])",
    ),
    _rule("quoted-compare", ATTACK, "=", r"^=+[!+A]*(?:[1svNfT][c&]|[vNfT]$)"),
    _rule("quoted-compare", ATTACK, "= &", r"^[!+*=~]{1,8}(?:[1svNfT]|(?<!~)i)[1svNfT+*!,]{0,20}[&=]+[!+*]*[1svNfiq]"),
    _rule("quoted-where", ATTACK, "W=", r"^Wi=[1svf](?:&(?:i|f|1|s)|c)"),
    _rule("quoted-null", ATTACK, "!N&", r"^!N&[1si]!?="),
    _rule("quoted-compute", ATTACK, "& + *", r"^[&+*]+[!+]*(?:f|T|S|C|ZS|Zf)"),
    _rule(
        "quoted-list",
        ATTACK,
        ",",
        r"^,(?:[1sN],)*[1sNvf]c|^,N,N|^(?:,i=[1svNf]{1,3}){1,8}[Wc]|^(?:,i=[1svNf]){0,8},i=q$|^(?:,i=[1svNf]){1,8},i=q",
    ),
    _rule("quoted-commented", LIKELY, "c", r"^[+*=]+[1svNfimS=&+*!,A]{1,40}c$|^;[i?G.,]{1,8}c$"),
    _rule("quoted-execute", ATTACK, "X", r"^;?X(?:i[sqv1,]|Y|i\.)"),
    _rule("quoted-stacked", ATTACK, "; dt G", r"^;+(?:c|[dtjukXywQSbZKGD][^e]?)|^dti|^Giei[;c]"),
)
"""Said of what stands behind a value's first quote, parentheses left out."""

PARENTHESISED = re.compile(r"^\([1svNfimS=&+*!(),A ]{1,60}c$").search
"""An expression in parentheses, the rest of the statement cut off."""

_B = r"(?:\s|/\*\*/)"
_LOOKING = r"(?:(?:version|database|current_user|user|load_file)\s?\(|@@\w|select\b|passw)"
IN_TEXT: tuple[re.Pattern[str], ...] = tuple(
    map(
        re.compile,
        (
            r"/\*!\s?(?:\d{5}|(?:union|select|and|or|from|where|concat)\b)",
            r"(?:asc(?<!\w.{3})ii|(?:ord|hex|mid|md5)(?<!\w.{3})|u(?:nhex|pper)(?<!\w.{5})|unco(?<!\w.{4})mpress"
            r"|l(?:en(?<!\w.{3})(?:gth)?|eft(?<!\w.{4})|owe(?<!\w.{4})r)|sub(?<!\w.{3})str(?:ing)?"
            r"|c(?:onv(?<!\w.{4})(?:ert)?|har(?<!\w.{4})set|oer(?<!\w.{4})cibility|omp(?<!\w.{4})ress|ast(?<!\w.{4})))"
            r"\s?\(\s?(?:int\s?,\s?)?(?:\w{1,20}\s?\(\s?){0,4}" + _LOOKING,
            r"@@(?:version|hostname|datadir|basedir|servername|tmpdir|spid|language|global\.|session\.|secure_file)",
            r"dbms(?<!\w.{4})_[a-z]{2,20}\.\w{2,30}(?:\.\w{2,30})?\s?\(",
            r"utl_(?<!\w.{4})[a-z]{2,20}\.\w{2,30}(?:\.\w{2,30})?\s?\(",
            r"ctxs(?<!\w.{4})ys\.\w{2,30}(?:\.\w{2,30})?\s?\(",
            r"owa_(?<!\w.{4})util\.\w{2,30}(?:\.\w{2,30})?\s?\(",
            r"'\s?::\s?(?:jsonb?|int\d?|integer|text|varchar|numeric)\b",
            r"select(?<!\w.{6})\s{1,10}pg_sleep",
            r"sp_p(?<!\w.{4})assword\b",
            r"from(?<!\w.{4})\s{1,5}(?:sys|msdb|mysql|master)\.{1,2}\w",
            r"\.(?:(?<=[\s,(`]\d\.)|(?<=[\s,(`]\d\d\.)|(?<=[\s,(`]\d{3}\.)|(?<=[\s,(`]\d{4}\.)|(?<=1\.)(?<![\w.].\.)|(?<=\$\.))"
            r"\d{0,4}e(?:\.[a-z_]{4}|\([a-z]|\.`)",
            r"`1\.e",
            rf"duplicate{_B}+key{_B}+update{_B}+[\w.`\"]{{1,60}}{_B}*=",
            rf"conflict[^;]{{0,60}}?do{_B}+update{_B}+set{_B}+[\w.`\"]{{1,60}}{_B}*=",
            rf"['\"]{_B}*\)(?:{_B}|\))*returning(?:{_B}|\()+[\w.*]{{1,40}}(?:{_B}|\))*(?:--|#(?:\W|$)|/\*|;\s*(?:--|$))",
            rf"(?:^|[\d'\")]){_B}*;{_B}*set{_B}+(?:(?:global|local|session|role){_B}+(?:(?:authorization|role){_B}+)?[\w.'\"]{{1,40}}|password){_B}*(?:[=;#]|:=|--|$|to{_B}+['\"\w]+{_B}*(?:[;#]|--|$))",
            rf"(?:^|[\d'\")]){_B}*;{_B}*(?:(?:un)?install{_B}+(?:plugin|component|soname){_B}+[\w'\"]{{1,40}}{_B}*(?:[;#]|--|$|soname\b)"
            rf"|change{_B}+(?:master{_B}+to|replication{_B}+(?:source{_B}+to|filter)){_B}+\w{{1,40}}{_B}*=|purge{_B}+(?:binary|master){_B}+logs{_B}+(?:to|before)\b"
            rf"|reindex{_B}+(?:table|database|system|index|schema){_B}+\w{{1,40}}{_B}*(?:[;#]|--|$)"
            rf"|(?:start|stop|reset){_B}+(?:slave|replica|master){_B}*(?:[;#]|--|$)|(?:import{_B}+foreign{_B}+schema|reassign{_B}+owned{_B}+by|security{_B}+label)\b)",
        ),
    )
)
"""What no statement need be parsed for, in lower case: a comment MySQL runs, a function that looks into the database."""

PROBE = re.compile(
    rf"^(?:{_OPS}++(?:[1svN](?!q)|f[1svNi,]*+(?!q)|i(?=[&=+*!~c]))?+)++(?:qc?|c)$|^[&=+*!~]+$|^s*+c$|^&sq$|^;+q?$"
)
"""The whole rest behind a first quote, where what stands before is a plain value."""

COMPUTED = re.compile(
    r"(?P<number>[!+]*1[+*]+\(+!?(?:i\.)*i!?=+\(*[1s]\)+[c&]?)|(?P<name>(?:i\.)*i[+*]+\(+(?:i\.)*i!?=+[1s]\)+c?)"
    r"|(?P<branch>[fZ]\(+(?:i\.)*i!?=+[1s],[1sifN.,()+*=]{1,40}\)+c?)|(?P<match>\(*(?:i\.)*i!?=+s\)*c?|[!+]*1=+\(+(?:i\.)*i\)+c?)"
).fullmatch
"""A whole value, with parentheses, that computes with the truth of a comparison, by what stands before that."""

BLIND: tuple[Rule, ...] = (
    _rule("padded-logic", ATTACK, "q&1= q&f=c", r"q;?&+[!+]*(?:1=+1(?:[c&;]|$)|f[1svNf,]{0,20}=+[1f]c)"),
    _rule("padded-logic", ATTACK, "1&=", r"1&+1=1(?:c|$)"),
    _rule("padded-logic", ATTACK, "q&", r"q;?&+[!+]*(?:q[i1]q=+q[i1]|qq=+q)$|q&+[!+]*[1vNf]c$", tail=True),
    _rule("padded-comment", LIKELY, "qc", r"q[;]?c$", tail=True),
)
"""Said of a text read blind, besides those above: what breaks out behind a quote that is not among the first."""

_PREFIX = r"^[!+*,]*(?:[1svN](?:[+*.][!+]*[1svN])*)?"
_TAUTOLOGY = r"[!+*]*[1svNf][1svNif,+*]{0,40}!?=+[!+*]*(?:[1svNq]|f|S|T|i)"
TAUTOLOGY = re.compile(rf"&+{_TAUTOLOGY}").search
FROM_START: tuple[Rule, ...] = (
    _rule("logic", ATTACK, "&=", rf"^[!+*,;]*(?:[1svNf][1svNf+*!=,&]*)?&+{_TAUTOLOGY}"),
    _rule("logic", ATTACK, "&=", r"^i&+[!+*]*([1sv])=+\1(?:[c&;]|$)|^[1sN]?&+[!+]*[1sv]=+[1svf]"),
    _rule("logic", LIKELY, "&=", r"^(?:1\*)?i(?:[+*]1)?&+[!+*]*[1fN][1f+*]*=+[!+*]*[1f]"),
    _rule("logic", ATTACK, "&", rf"{_PREFIX}&+[!+]*(?:T|Y|S|f[1svNif,]*[=c])"),
    _rule("logic", LIKELY, "&", r"^[!+*,]*(?:[1svN](?:[+*.][!+]*[1svN])*)&+[!+]*(?:i!?=+[!+]*[1svNfq]|v|f)"),
    _rule("logic", LIKELY, "&", r"^&+[!+]*i!?=+[!+]*(?:i|[1svN])(?:[c&]|$)|^&+N$|^&f[1+*,]*c?$"),
    _rule(
        "logic", LIKELY, "&", r"^[1N](?:&+[!+]+[1N](?:[c&]|$)|&+[!+]*f[1svNif,+*]*(?:[c&=]|$)|&[!+]*i=+i?(?:[c&]|$))"
    ),
    _rule("json", ATTACK, "&s=", r"^[1N]?&+s=+(?:s|i)"),
    _rule("logic", LIKELY, "&", rf"{_PREFIX}&+[!+]*(?:[1N](?:&[1N])*c|1OB)|^1&[!+]*ic|^f[1svNfi,+*]*&+1=+1"),
    _rule(
        "compare",
        LIKELY,
        "= a ,",
        r"^s=+[sq](?:=|$)|^1(?:asF|a[sq])|^,+f[1svNfi,]*c?$|^1=+1c|^f1?=+f1?$|^1Wi(?:\.i)?=+[1s](?:c|$)|^[1s]Fi(?:\.i)?Wi=",
    ),
    _rule("compute", LIKELY, "+ &", r"^1\+N$|^f1(?:[&+]f1)+$"),
    _rule("compute", LIKELY, "1=* 1=+ 1=&", r"^\(1=1\)[*+&]1$", parens=True),
    _rule("dump", LIKELY, "Iv", r"^[1sN]Iv(?:,v)*c?$"),
    _rule(
        "union",
        LIKELY,
        "U",
        r"^US$|^1?Uti(?:$|[cLO])|^\+1U(?:1|c|$)|^[!+*]*1(?:[+*]1)*U(?:c|1,)|^[!+*]*1[+*1]*[+*]1?U(?:c|$)",
    ),
    _rule(
        "order-by",
        ATTACK,
        "OB L",
        r"^[!+,1]*[sN]?OB(?:[1f](?:,[1fNT])*(?:[cqLUH]|$)|f|T|C|Z)|^L1,1c|^[1sN]?L1(?:,1|L1)?[cP]",
    ),
    _rule(
        "stacked",
        LIKELY,
        "; yv 1dti",
        r"^[!+]*1dt(?:Z!?i)?(?:i\.)*i(?:[c;]|$)|^[1s]?;+(?:[GDKwPbyXZ](?!e)|Q|[dtjuk][i(Ft])|^yv|^[1s]?;+d",
    ),
    _rule("branch", ATTACK, "=", r"^[fZ](?:[1sNv]=+[1sNv]|f[1svNf,+]*=+[1sNvf]),|^[fZ]1=$"),
    _rule("branch", LIKELY, "S = &", r"^S[Nf][c;]?$|^1=+1&|^&+1$|^1&[!+]*s$"),
    _rule("having", ATTACK, "H", r"^[!+]*[1sN]?(?:OB[1fisN,.]+)?H[1fsNiv*]{1,9}=|^[1i]H[1N](?:&|$)"),
    _rule("list", ATTACK, ",", r"^,(?:[1sN],)*[1sN]c|^,(?:N,?){2,}"),
    _rule("dump", ATTACK, "R", r"^[1svN]?I?Rf"),
    _rule("execute", ATTACK, "X", r"^[1s;]?X(?:Y|v|i\.|i[sqv]|i=)"),
    _rule("commented", LIKELY, "c", r"^[!+]*(?:v|f[1svNif,+&=*]*)c"),
)
"""Said of the value's start, as where a number was expected, parentheses left out."""

_FOLDABLE = re.compile(r"[&=\x04](?:(?<=\x04)|\(*!?\(*(?:i[.,]|\{|i[+*]1=)|!?A[F(]|\(*!?\(*z)").search
_COMPARISON = re.compile(r"=!?AF|\x04(?:[em]|\((?:[iY]\.)*[+*=~?!&]+\)|(?<=[i1s]\x04)(?=\(*[sq]))").sub
_TYPED = re.compile(r"(?<=[&=(!])[\x04z][sq](?:i(?==))?").sub
_NAME = re.compile(r"(?<=[&=(!,])i(?:\.+[iY])+").sub
_SHIFTED = re.compile(r"(?<=&)i[+*]1(?==)").sub
_OPERAND = re.compile(
    r"(?<=[&=])!?(?:\{[ize]\(*(?:[1svNf][^{}]{0,18}\}|i[^{}]{0,18}\}(?=\)*!?[=+*c]))|\(i(?:,[i1sNfv])+\)(?=!?=+\()|A(?=\())"
).sub


def folded(kinds: str) -> str | None:
    """Classes in which an operand of several tokens stands as one: `a.b.c` and `a+0` as a name; ODBC's `{x 1}`, `date 'x'`, a tuple that
    is compared with another and `any(…)` as a variable; so does `is distinct from`. None when there is none."""
    if _FOLDABLE(kinds) is None:
        return None
    return _OPERAND("v", _SHIFTED("i", _NAME("i", _COMPARISON("=", _TYPED("v", kinds)).replace(SPELLED, "i"))))


_TABLES = {"anywhere": ANYWHERE, "behind-quote": BEHIND_QUOTE, "blind": BLIND, "from-start": FROM_START}
Context = Literal["anywhere", "behind-quote", "blind", "from-start"]


@lru_cache(maxsize=4096)
def rules_for(context: Context, classes: frozenset[str]) -> tuple[Rule, ...]:
    """The rules that tokens of no other classes than `classes` may match."""
    return tuple(rule for rule in _TABLES[context] if any(needed <= classes for needed in rule.needs))
