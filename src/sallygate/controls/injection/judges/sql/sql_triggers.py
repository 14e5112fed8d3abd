"""Triggers of SQL injection: a necessary part of each structure that the rules find.

Refuses to know what the whole structure is.
"""

from __future__ import annotations

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
_EXPRESSION = r"[\w\s.()`\"\[\]$@+*/%|&^<>=!~\x00-\x1b\xc2\xa0-]"
_COLUMN = rf"(?:[\w`\"\]]{_GAP}*\.{_GAP}*[a-z_`\"\[]|[a-z]_[a-z]|rowid|oid)"
_WORDED = r"(?:x?or|and|not|r?like|glob|regexp|is|in|between|match)[\s+(!~'\"`/@\[\x00-\x1b\xc2-]"
_BEGUN_AS_NUMBER = r"\x1e[\s+(!~'\"-]*(?:\d[\w.]*|null|true|false)[\s)+'\"/*\x00-\x1b\xc2\xa0]*"
_STOPPED = r"(?:--[\s+-]|--\x1e|#|/\*|;[\s+/*\w-]*\x1e)"
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
    r"(?:or|and|xor|\|\||&&)[\s+(!/*]{0,9}(?:(?:bool|boolean|date|time|timestamp|interval)[\s+/*]{0,9}'|not[\s+/*]{1,9}(?:bool|date|time)|\{\s?[a-z]{1,20}[\s+(`])",
    r"(?:or|and|xor|\|\||&&)[\s+(!]{0,4}[\w.]{1,40}[\s)+/*]{1,9}(?:not[\s+/*]{1,9})?(?:isnull|notnull|similar|overlaps|member|operator)\b",
    r"(?:or|and|xor|\|\||&&)[\s+(!/*]{0,9}[\w.]{1,40}[\s)+/*]{1,9}not[\s+/*]{1,9}(?:in|like|rlike|regexp|between)\b", r"\^@\s?['\"]",
    r"['\"]\s?[+|=]{1,2}\s?[a-z_]\w{0,30}\s?[+|=]{1,2}\s?['\"]\x1e",
    r"(?:or|and|xor|\|\||&&)[\s+(!]{0,4}\(\s?[\w.]{1,40}\s?,", r"\x1e\s{0,3}[\w.-]{1,40}\s?[-*+/^%|&]{1,2}[\s(]{0,3}\([\s(]{0,3}(?:not[\s+/*]{1,9})?[\w.]{1,40}[\s)+/*]{0,9}(?:[=<>!]|not|like|r|glob|in)",
    r"\x1e\s{0,3}i?if\s?\(\s?[\w.]{1,40}\s?(?:[=<>!]|like|r)", r"\x1e[\s(]{0,4}[\w.]{1,40}[\s)+/*]{1,9}(?:regexp|rlike|like|glob)[\s(+/*]{0,9}['\"(]", r"\x1e-?\d{1,9}\s{0,3}(?:regexp|rlike)\s{0,3}\(",
    r"['\"][\s)]{0,4}(?:where[\s+/*]{1,9}\w{1,30}\s{0,3}=|(?:div|mod)\s{1,4}\d|not\s{1,4}null\s{1,4}(?:or|and)|glob\s{1,4}['\"])",
    r"['\"]\s{0,3},[\s+/*]{0,9}\w{1,30}\s{0,3}=\s{0,3}(?:['\"\dx]|null\b|true\b|false\b)", r"\)[\s+/*]{0,9}returning[\s(+/*]", r"on[\s+/*]{1,9}(?:duplicate[\s+/*]{1,9}key|conflict)\b",
    r";[\s+*/]{0,8}(?:(?:un)?install|change|purge|reindex|start|stop|import|reassign|security)[\s+*/]{1,8}(?:plugin|component|soname|master|replication|binary|table|database|system|index|schema|slave|replica|foreign|owned|label)\b",
    rf"['\"`][\s)+;/*\x00-\x1b\xc2\xa0]*(?:[-+*/%|&^<>=!~]{{1,3}}|match\b)[\s+(!~/*-]*[a-z_`\"\[](?:{_EXPRESSION}|\([^;{{}}\x1e]*\))*(?:['\"`][\s(]*\w*\s*\x1e|{_STOPPED})",
    rf"{_BEGUN_AS_NUMBER}(?:{_WORDED}|\|\||&&|[*^&|]|[<>!]{{1,2}}=?>?){_EXPRESSION}*(?:{_COLUMN}[\w\s.()`\"\[\]$@+*/%|&^<>=!~,'\x00-\x1b\xc2\xa0-]*(?:\x1e|{_STOPPED})|[a-z_]\()",
    rf"{_BEGUN_AS_NUMBER}[-+/%][\s+!~-]*\({_EXPRESSION}*{_COLUMN}",
    r"\x1e1[\s+]{1,4}like", rf"\x1e\s{{0,3}}{_CALLED}\s{{0,2}}=?\\?\(", r"\b(?:pg_|json_|jsonb_|sqlite_|dbms_|utl_|lo_|fn_)\w{1,30}(?:\.\w{1,30})?\s{0,2}\(",
    rf"(?:or|and|xor|[=|&,+*/%^-]){_GAP}{{0,8}}(?:ascii|ord|hex|unicode|instr|locate|position|strcmp|charindex|patindex|conv|mid|substr|substring|md5|length|len|char|chr|concat|elt|make_set|exp)\s{{0,2}}\(",
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
"""Every structure that the rules report holds one of these; single words only if honest values hardly contain them."""
