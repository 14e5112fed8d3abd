r"""Judge of serialised objects: values that run code when an application reads them back.

**Threat.** Java, .NET, PHP, Python, Ruby, YAML and JSON readers that make whatever object a value names (CWE-502, OWASP API8):
`rO0AB…`, `AAEAAAD/////…`, `O:8:"…":1:{`, `cos\nsystem`, `!!python/object`, `{"@type":"com.sun…"}`; connection strings that make a
database's driver do it.

**Evidence.** `injection.deserialisation` with the reader it is for.

**How.** Each is one expression (`idiom_judge`): the signature of a format nobody honestly sends, or a class that is known to be used
for nothing else.

**Known bypasses.** Formats that applications take from their own clients (a signed ViewState, gzip in base64). Classes no list names.

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import HOP, JSON, TEXTS, Judge

IDIOMS: tuple[Idiom, ...] = (
    Idiom("deserialisation", "java", CERTAIN, r"\xac\xed\x00\x05|(?<![a-z0-9+/_-])(?-i:rO0AB[XQc])[a-z0-9+/]{8}|(?<![0-9a-z])aced0005[0-9a-f]{4}|\xc2\xac\xc3\xad",
          trigger=r"\xac\xed\x00\x05|ro0ab[xqc][a-z0-9+/]{8}|aced0005[0-9a-f]{4}|\xc2\xac\xc3\xad"),
    Idiom("deserialisation", "dotnet", CERTAIN, r"aaeaaad/////|yAAAAAEAAAD|system\.(?:windows\.data\.objectdataprovider|diagnostics\.process|configuration\.install)|objectstatemanager|\"\$type\"\s{0,4}:\s{0,4}\"system\."),
    Idiom("deserialisation", "dotnet", ATTACK, r"\x1e/(?-i:wEy)[a-z0-9+/%]{12}", trigger=r"\x1e/wey[a-z0-9+/%]{12}"),
    Idiom("deserialisation", "dotnet", ATTACK, r"\"__type\"\s{0,4}:\s{0,4}\"system\.|expandedwrapper`|<objectdataprovider\b|clr-namespace:system\.(?:diagnostics|io|reflection)"),
    Idiom("deserialisation", "php", ATTACK, r"[oc]:\+?[0-9]{1,6}:\"[a-z_\\][a-z0-9_\\]{0,80}\":[0-9]{1,6}:\{"),
    Idiom("deserialisation", "python", CERTAIN, r"c(?:os|posix|nt|subprocess|builtins|__builtin__|commands|sys)\n(?:system|popen|eval|exec|check_output|call|run|getattr|import)|gA[SW]V[a-z0-9+/]{3}A{7}|\(dp0\nS'"),
    Idiom("deserialisation", "python", ATTACK, r"\x1e(?-i:gA[I-S][A-Za-z0-9+/]{0,400}(?:cG9zaXg|wb3NpeA|Bvc2l4|c3VicHJvY2Vzc|YnVpbHRpbn|X19idWlsdGlu|bnQKc3lz|b3MKc3lz))",
          trigger=r"\x1ega[i-s][a-z0-9+/]*(?:cg9zaxg|wb3npea|bvc2l4|c3vichjvy2vzc|ynvpbhrpbn|x19idwlsdglu|bnqkc3lz|b3mkc3lz)"),
    Idiom("deserialisation", "yaml", CERTAIN, r"!!?(?:python/(?:object|name|module|tuple)|ruby/(?:object|hash|struct)|js/(?:function|regexp|undefined)|java(?:x)?\.|com\.sun\.|org\.(?:springframework|apache))"),
    Idiom("deserialisation", "json-type", ATTACK, r"\"@(?:type|class)\"\s{0,4}:\s{0,4}\"(?:l?(?:com|org|java|javax|sun|net|oracle|ch|br|jdk)\.)"),
    Idiom("deserialisation", "json-type", ATTACK, r"[\[{,:\x1e]\s{0,4}\"?(?:ch\.qos\.logback|com\.sun\.rowset|org\.apache\.(?:xbean|commons\.(?:dbcp|configuration|proxy)|ibatis|tomcat\.dbcp|shiro|openjpa)|com\.mchange|com\.zaxxer\.hikari|"
          r"org\.springframework\.(?:context\.support|aop|beans|jndi)|net\.sf\.ehcache|oracle\.jms|br\.com\.anteros)\.[a-z0-9_.$]{3,120}(?:\"\s{0,4},|\x1e)"),
    Idiom("deserialisation", "driver", ATTACK, r"jdbc:(?:mysql|mariadb)://[^\s\x1e]{1,200}(?:autodeserialize|queryinterceptors|statementinterceptors|allowloadlocalinfile|allowurlinlocalinfile)|jdbc:h2:[^\s\x1e]{1,200}init=|"
          r"jdbc:postgresql://[^\s\x1e]{1,200}(?:socketfactory|sslfactory|loggerfile)=|jdbc:(?:db2|derby|sqlite|modeshape):[^\s\x1e]{1,200}(?:clientreroute|startmaster|resource:|jndi)", 2000),
    Idiom("deserialisation", "node", CERTAIN, r"_\$\$nd_func\$\$_|xyqktkrfrlvoqyqkx|__js_function"),
    Idiom("deserialisation", "ruby", ATTACK, r"\x04\x08(?:o:|\[|u:|c:)|\\x04\\(?:x08|b)o:|(?<![a-z0-9+/_-])(?-i:BAh(?:b[A-Z]|v[A-P]))[a-z0-9+/]{3}", trigger=r"\x04\x08(?:o:|\[|u:|c:)|\\x04\\(?:x08|b)o:|bah[bv][a-z]"),
    Idiom("deserialisation", "ruby", ATTACK, r"\"(?:\^o|json_class|\^u)\"\s{0,4}:\s{0,4}\"(?:gem|kernel|erb|object|process|io|net|active[a-z]{3,12}|action[a-z]{3,12})\b"),
)  # fmt: skip

JUDGE: Judge = IdiomJudge("deserialisation", IDIOMS, TEXTS | HOP | JSON, cost=0.2)
