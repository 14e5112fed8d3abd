r"""Judge of NoSQL injection: operators where a database expects a plain value, and JavaScript that it would run.

**Threat.** `user[$ne]=x`, `{"$gt": ""}`, `';return true;//` in MongoDB; commands smuggled into Redis; CouchDB,
Elasticsearch, Cassandra and Neo4j asked for what was not meant (CWE-943; MITRE T1190).

**Evidence.** `injection.nosql` with what was recognised.

**How.** Each is one expression (`idiom_judge`). An operator counts where it stands as a key: whole as a name, in brackets,
before a colon. JavaScript counts where it leaves a text it was put into: a quote or a statement's end right at the
beginning, then logic. Analytics' own keys (`$set`, `$browser`, `$type`), JSON Schema's (`$ref`, `$id`) and OData's
(`$filter`, `$top`) are no operators here; a word alone never is. `$eq` asks for what a plain value asks for, and is
odd at most.

**Refuses to know** which applications offer operators on purpose (Strapi, Feathers, Parse, Socrata's `$where`): they
make an exception for the parameter.

**Known bypasses.** Operators under a prefix of the application's own. JavaScript that breaks out with no logic, return
or loop. Aggregation stages that analytics use as names (`$group`, `$project`, `$merge`).

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import JSON, TEXTS, Judge

_SHARP = r"(?:ne|gte?|lte?|nin|nor|where|regex|exists|elemmatch|jsonschema|accumulator|expr|bits(?:all|any)(?:set|clear)|(?:not)?i?like|i?regexp|func(?:tion)?)"
"""Operators that are nothing else."""
_COMMON = r"(?:in|or|and|not|all|mod|size)"
"""Operators that other languages of queries know as well, and that are names of variables in code."""
_STAGE = (
    r"(?:match|lookup|graphlookup|unwind|unionwith|facet|redact|collstats|currentop|indexstats|listsessions|sample|out)"
)
_S = r"[\s+]{0,4}"
_LITERAL = r"(?:'[^'\x1e]{0,24}'|\"[^\"\x1e]{0,24}\"|[0-9]{1,9})"
_LEFT = r"\x1e[^'\"\x1e(){}=<>]{0,60}"
"""The beginning of a text, up to what leaves the string or statement it was put into."""

_FIELDS_ALONE = r"(?:doc\[\\?'[\w.@-]{1,60}\\?'\]\.(?:value|length|empty|size\(\))|params\.\w{1,40}|math\.\w{1,12}|_score|[\d.\s+*/%()<>=?:-]|&&|\|\|){1,60}"
"""A script that computes with fields and parameters, and calls nothing else."""
_SCRIPT_OF_ITS_OWN = (
    rf"[^\x1e]{{0,4000}}[\"'](?:script|source|inline)[\"']\s{{0,20}}:\s{{0,20}}[\"'](?!{_FIELDS_ALONE}[\"'])"
)

IDIOMS: tuple[Idiom, ...] = (
    # Operators
    Idiom("nosql", "operator", ATTACK, rf"\x1e\s{{0,2}}\$(?:{_SHARP}|{_COMMON})\s{{0,2}}\x1e"),
    Idiom("nosql", "operator", ATTACK, rf"[\x1e?&;,\s={{\"'][a-z0-9_.\[\]-]{{0,80}}\[\s{{0,2}}['\"]?\${_SHARP}['\"]?\s{{0,2}}\]", 4000,
          trigger=rf"\[\s{{0,2}}['\"]?\${_SHARP}['\"]?\s{{0,2}}\]"),
    Idiom("nosql", "operator", ATTACK, rf"\x1e[a-z0-9_.\[\]-]{{0,80}}\[\s{{0,2}}['\"]?\$(?:{_COMMON}|options|type|text|{_STAGE})['\"]?\s{{0,2}}\](?:\[[^\]\x1e]{{0,20}}\]){{0,3}}\s{{0,2}}[=\x1e]"),
    Idiom("nosql", "operator", ATTACK, rf"[{{,]\s{{0,40}}\\?[\"']\$(?:{_SHARP}|{_COMMON})\\?[\"']\s{{0,20}}:"),
    Idiom("nosql", "operator", ATTACK, rf"[{{,]\s{{0,40}}\$(?:{_SHARP}|{_COMMON})\s{{0,20}}:\s{{0,20}}(?:['\"\x60\[{{0-9/-]|true\b|false\b|null\b|function\b|new\b|this\b)"),
    Idiom("nosql", "operator", ATTACK, rf"[{{,]\s{{0,40}}\\?[\"']\$(?:{_STAGE})\\?[\"']\s{{0,20}}:\s{{0,20}}(?:\{{|\\?[\"']\$)"),
    Idiom("nosql", "operator", ATTACK, r"[{,]\s{0,40}\\?[\"']\$(?:unionwith|lookup|graphlookup|out)\\?[\"']\s{0,20}:"),
    Idiom("nosql", "operator", ATTACK, rf"[{{,]\s{{0,40}}\$(?:comment|options|text|{_STAGE})\s{{0,20}}:\s{{0,20}}['\"{{]"),
    Idiom("nosql", "operator", ATTACK, r"\x1e\s{0,4}['\"]?\$(?:where|ne|gte?|lte?|nin|regex|or|and|expr)['\"]?\s{0,4}:\s{0,4}['\"\[{0-9tf]", 600),
    Idiom("nosql", "operator", ATTACK, rf"\x1e[a-z0-9_.-]{{1,80}}\.\${_SHARP}(?:=|\x1e)"),
    Idiom("nosql", "operator", ODD, r"(?:\[|\x1e|[{,]\s{0,8}[\"'])\$eq(?:\]|\x1e|[\"']\s{0,8}:)"),
    Idiom("nosql", "operator", LIKELY, rf"(?:[{{,]\s{{0,8}}['\"]|\x1e)&(?:{_SHARP}|eq|nin)(?:['\"]\s{{0,8}}:|\x1e)"),
    # JavaScript that leaves the text it was put into
    Idiom("nosql", "javascript-return", ATTACK, rf"{_LEFT}(?:['\"]\s{{0,4}}\)?\s{{0,4}};{_S}return(?:{_S}\(|[\s+]{{1,4}}(?:true|false|[0-9!'\"]|this\b|db\.|\())|\)?\s{{0,4}};{_S}return(?:[\s+]{{0,4}}\(\s{{0,4}}(?:true|false|[0-9!'\"]|this\b)|[\s+]{{1,4}}(?:(?:true|false|!?[0-9]{{1,4}})\s{{0,4}}(?:[;}}=/|&<>!]|\x1e)|['\"][^'\"\x1e]{{0,40}}['\"]\s{{0,4}}==|!?this\.|db\.)))", 400),
    Idiom("nosql", "javascript-return", ATTACK, r"\x1e\s{0,4}(?:function\s{0,4}\(\s{0,4}[a-z]{0,12}\s{0,4}\)\s{0,4}\{|\([a-z]{0,12}\)\s{0,4}=>\s{0,4}\{?)\s{0,8}(?:return\s{1,4}(?:true|1\s{0,3}[;=}]|this\.[a-z_]{1,40}\s{0,3}(?:[=!<>]|\.match))|sleep\s{0,4}\()", 400),
    Idiom("nosql", "javascript-sleep", ATTACK, rf"['\";)}}|&]{_S}sleep\s{{0,4}}\(\s{{0,4}}[0-9]{{1,9}}\s{{0,4}}\)", 400),
    Idiom("nosql", "javascript-loop", ATTACK, r"\bdo\s{0,4}\{[^}\x1e]{0,80}\bnew[\s+]{1,4}date\b", 600),
    Idiom("nosql", "javascript-loop", ATTACK, r"\b(?:while|for)\s{0,4}\([^\x1e{}]{0,80}(?:\bnew[\s+]{1,4}date\b|\bdate\.now\s{0,4}\()[^\x1e{}]{0,40}(?:<|-)", 400),
    Idiom("nosql", "javascript-loop", ATTACK, r"\bnew[\s+]{1,4}date\s{0,4}\([^\x1e{}]{0,80}\b(?:do\s{0,4}\{|while\s{0,4}\()[^\x1e]{0,120}-[^\x1e]{0,40}[<>]", 600),
    Idiom("nosql", "javascript-this", ATTACK, rf"(?:{_LEFT}['\"0-9]{_S}\)?{_S}|\x1e{_S})(?:&&|\|\||;){_S}!?\(?{_S}(?:this|obj)\s{{0,2}}[.\[]", 600),
    Idiom("nosql", "javascript-this", ATTACK, r"\x1e\s{0,4}this\.[a-z_][a-z0-9_.]{0,40}(?:\.match\s{0,2}\(\s{0,2}/|\s{0,3}[=!]={1,2}\s{0,3}['\"])", 300),
    Idiom("nosql", "javascript-logic", ATTACK, rf"(?:&&|\|\|){_S}\(?{_S}{_LITERAL}{_S}[=!]={{1,2}}{_S}(?:['\"0-9])", 400),
    Idiom("nosql", "javascript-logic", ATTACK, rf"{_LEFT}['\"]{_S}\)?{_S}(?:&&|\|\|){_S}!?(?:true|false|null|[0-9]{{1,6}}){_S}(?:&&|\|\||//|;|\x00|%00|['\"\x1e])", 400),
    Idiom("nosql", "javascript-probe", LIKELY, r"['\"]{2}\x60\s{0,4}\{|\{\s{0,4};\s{0,2}\$[a-z]{1,12}\}", 200),
    Idiom("nosql", "javascript-dump", ATTACK, r"\btojson(?:oneline)?\s{0,4}\(\s{0,4}(?:this|db\.|object)", 1000),
    # The shell
    Idiom("nosql", "shell", ATTACK, r"\bdb\.[a-z_][a-z0-9_]{0,40}\.(?:insert(?:one|many)?|find(?:one)?|remove|drop|update(?:one|many)?|aggregate|mapreduce|delete(?:one|many)|countdocuments|count|distinct|save|renamecollection)\s{0,4}\(", 1000),
    Idiom("nosql", "shell", ATTACK, r"\bdb\.(?:getcollection(?:names|infos)?|getsiblingdb|dropdatabase|admincommand|runcommand|getusers?|serverstatus|shutdownserver|currentop|createuser|hostinfo|loadserverscripts|copydatabase|version|getname|createcollection)\s{0,4}\(", 1000),
    Idiom("nosql", "shell", ATTACK, r"\bmapreduce\s{0,4}\(\s{0,4}(?:function|\()", 1000),
    # Other stores
    Idiom("nosql", "redis", CERTAIN, r"\*[0-9]{1,3}\r?\n\$[0-9]{1,5}\r?\n[a-z]{3,16}"),
    Idiom("nosql", "redis", ATTACK, r"(?:\n|\\n|\x1e)\s{0,4}(?:flushall|flushdb|config\s{1,4}(?:set|get|rewrite)\s{1,4}[a-z*]|slaveof\s{1,4}[a-z0-9]|replicaof\s{1,4}[a-z0-9]|bgsave|module\s{1,4}load\s|script\s{1,4}(?:load\s{1,4}['\"]|flush\b)|eval\s{1,4}['\"][^\x1e]{1,400}['\"]\s{1,4}[0-9])[^\n\x1e]{0,200}", 1000),
    Idiom("nosql", "redis", ATTACK, r"\n\s{0,4}(?:(?:set|lpush|rpush|hset|sadd|zadd|del|keys)\s{1,4}[^\s\x1e]{1,80}(?:\s{1,4}[^\n\x1e]{1,400})?\r?\n\s{0,4}(?:(?:save|quit|bgsave|exec|flushall)\s{0,4}(?:[\r\n]|\x1e)|config\s{1,4}set)|(?-i:GET|KEYS|SET) [^\n\x1e]{1,200}\r?\n(?-i:GET|SET|SAVE|QUIT|CONFIG|EXEC|KEYS)\b)", 1000,
          trigger=r"\n\s{0,4}(?:set|lpush|rpush|hset|sadd|zadd|del|keys|get)\s{1,4}[^\s\x1e]{1,80}(?:\s{1,4}[^\n\x1e]{1,400})?\r?\n\s{0,4}(?:save|quit|config|bgsave|exec|get|set|keys|flushall)\b"),
    Idiom("nosql", "redis", ATTACK, r"\bredis\.p?call\s{0,4}\(\s{0,4}['\"]", 2000),
    Idiom("nosql", "couchdb", LIKELY, r"_users/_all_docs|/_node/[^/\x1e]{1,40}/_config|\.\./_all_(?:dbs|docs)|/_all_dbs\b|\borg\.couchdb\.user:"),
    Idiom("nosql", "couchdb", ODD, r"/_all_docs\b"),
    Idiom("nosql", "elasticsearch", ATTACK, rf"(?:[\"']script_fields[\"']\s{{0,20}}:|[\"']script[\"']\s{{0,20}}:\s{{0,20}}\{{\s{{0,20}}[\"'](?:inline|source|lang)[\"']\s{{0,20}}:|\bscript_score\b[^\x1e]{{0,20}}:)(?={_SCRIPT_OF_ITS_OWN})", 4000,
          trigger=r"[\"']script_fields[\"']\s{0,20}:|[\"']script[\"']\s{0,20}:\s{0,20}\{\s{0,20}[\"'](?:inline|source|lang)[\"']\s{0,20}:|\bscript_score\b[^\x1e]{0,20}:"),
    Idiom("nosql", "elasticsearch", LIKELY, r"/_cluster/(?:settings|state|health)|/_cat/(?:indices|nodes|shards)|/_search/?\?(?:source|pretty|size)"),
    Idiom("nosql", "cassandra", ATTACK, r"(?:['\"]|\*/|[=<>]\s{0,4}[a-z0-9_]{1,40}\s)\s{0,6}allow\s{1,6}filtering\s{0,4}(?:;|--|/\*|//|%00|\x00|\x1e|['\"])", 600),
    Idiom("nosql", "cypher", ATTACK, r"\bload\s{1,6}csv\s{1,6}(?:with\s{1,6}headers\s{1,6})?from\s{1,6}['\"]|\bcall\s{1,6}(?:apoc|dbms?)\.[a-z]{2,30}[.(]|['\"})]\s{0,6}(?:detach\s{1,6}delete|(?:optional\s{1,6})?match\s{0,6}\([a-z0-9_]{0,20}(?::[a-z_]{1,30})?\s{0,4}\)\s{0,6}(?:-|<|return\b|detach\b|delete\b|set\b|where\b|with\b))", 2000),
)  # fmt: skip

JUDGE: Judge = IdiomJudge("nosql", IDIOMS, TEXTS | JSON, cost=0.3)
