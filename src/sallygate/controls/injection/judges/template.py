r"""Judge of template injection: values that a template engine would compute.

**Threat.** `{{7*7}}`, `${''.class.forName(…)}`, `<#assign …>`, `#set($x=…)`, `{% import os %}` (CWE-1336; MITRE T1221).

**Evidence.** `injection.template` with the kind of expression.

**How.** Honest values are full of placeholders, `{{name}}`, `${GDPR}`, `[[id]]`, `%%TTL%%`: a name alone is one. An expression
is recognised by what it does inside its braces: it computes, calls, quotes, walks attributes, pipes into a filter that does. Of names
alone only those tell that an engine has and no mail's data do (`{{self}}`), and only as a whole value.

**Known bypasses.** An engine with delimiters of its own. A placeholder of one name that the application gave a meaning.

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import TEXTS, XML, Judge

_OPENED = r"(?:\{\{|\$\{|#\{|\*\{|@\{|~\{|\{%|\[\[\$\{|\$\{\{|<%=?|\{\{=|\{%=|\{php\}|\[=|\{#|\{@|@\(|\$!?\()"
_NUMBER = r"['\"(\s]{0,4}[0-9]{1,9}(?:\.[0-9]{1,4})?['\")\s]{0,4}"
_NAMES = (
    r"(?:__[a-z]{2,20}__|\.\s{0,2}(?:constructor|prototype|getclass|getruntime|forname|newinstance|inspect|popen|classloader|"
    r"protectiondomain|declaringclass|registerundefinedfiltercallback|getfilter|secret_key|subprocess|environ)\b|\.\s{0,2}(?:class|system|settings|application|request|session)\b\s{0,2}[.\[(]|"
    r"\|\s{0,2}(?:filter|reduce|system|passthru|select|inspect|tojson)\b(?!:)|"
    r"\b(?:request|cycler|joiner|namespace|lipsum|url_for|get_flashed_messages|_context|handler|global|process|"
    r"execute|scriptengine|freemarker|smarty|velocitycount|pageContext|applicationscope|sessionscope|initparam)\b\s{0,2}[.\[(|]|\b(?:config|settings)\.[a-z_]{0,40}(?:secret|key|uri|url|password|token|jwt|databases?|items|from)|\bapp\.config\b|\b(?:this|root)\.(?:env|process|settings)\b|"
    r"\b(?:config|session|settings|system|header|cookie)\b(?:\s{0,2}[\[(|]|\s{0,2}\.\s{0,2}[a-z_]{1,30}\s{0,2}[.\[(|]))"
)
"""Names that lead out of a template's own values: no text has them by chance."""
_STEPS = (
    r"(?:\.\s{0,2}(?:mro|exec|eval)\b|\.\s{0,2}(?:os|env|read)\b\s{0,2}[.\[(]|\|\s{0,2}(?:attr|map|exec|cat|eval|print)\b(?!:)|\b(?:self|g|_self|dump|dict)\b\s{0,2}[.\[(|]|"
    r"\b(?:app|range|this|root|class|t|param)\b(?:\s{0,2}[\[(|]|\s{0,2}\.\s{0,2}[a-z_]{1,30}\s{0,2}[.\[(|])|"
    r"['\"][^'\"\x1e]{0,40}['\"]\s{0,3}[.*+|(\[~]|\[\s{0,2}['\"]|\b[a-z_][a-z0-9_.]{0,40}\s{0,2}\([^)\x1e]{0,80}\))"
)
"""Steps of an expression: calls, indices, and short names that random characters hold as well."""
_WALKS = rf"(?:{_NAMES}|{_STEPS})"
_IN_BRACES = r"(?:\{{\{{(?:\s?\n\s{{0,4}})?[^\x1e\n{{]{{0,160}}?{0}[^\x1e\n]{{0,300}}(?:\n\s{{0,4}})?\}}\}}|(?:\$|#|\*|~)\{{[^\x1e\n{{}}]{{0,160}}?{0}[^\x1e\n]{{0,300}}(?:\}}|\x1e))"
_BRACES = r"(?:\{\{\s*|\$\{|#\{|\*\{|~\{)[^\x1e\n]{0,40}(?:[(\[|'\"]|__|\.)"

IDIOMS: tuple[Idiom, ...] = (
    Idiom("template", "computes", ATTACK, rf"{_OPENED}\s{{0,6}}{_NUMBER}[*+/^-]{{1,2}}{_NUMBER}"),
    Idiom("template", "computes", ATTACK, r"(?:\$|#|\*|@)?\{\{?\s{0,4}(?:[0-9]{1,9}|['\"][a-z0-9]{1,9}['\"]|\(\s{0,2}[0-9]{1,9})\s{0,3}[*]\s{0,3}['\"(]{0,2}[0-9]"),
    Idiom("template", "computes", ATTACK, r"\x1e\[\[[0-9]{1,9}[*][0-9]{1,9}\]\]"),
    Idiom("template", "walks", ATTACK, rf"(?:\{{%(?:\s?\n\s{{0,4}})?[^\x1e\n{{%]{{0,160}}?{_WALKS}[^\x1e\n%]{{0,300}}(?:\n\s{{0,4}})?%\}}|<%=[^\x1e\n]{{0,160}}?{_WALKS}[^\x1e\n]{{0,160}}%>)", 6000,
          trigger=r"(?:\{%\s*|<%=)[^\x1e\n]{0,40}(?:[(\[|'\"]|__|\.)"),
    Idiom("template", "leads-out", ATTACK, _IN_BRACES.format(_NAMES), 6000, trigger=_BRACES),
    Idiom("template", "walks", ATTACK, _IN_BRACES.format(_STEPS), 6000, balanced=True, trigger=_BRACES),
    Idiom("template", "filtered", ATTACK, r"\{\{[^\x1e]{0,200}\|\s{0,2}(?:map|filter|attr|reduce|sort)\s{0,2}\(\s{0,2}['\"][^\x1e]{0,200}\}\}", 1000),
    Idiom("template", "filtered", ATTACK, r"\{\s{0,2}['\"][^'\"\x1e]{0,60}['\"]\s{0,2}\|\s{0,2}(?:system|exec|shell_exec|passthru|popen|eval|assert)\s{0,2}\}"),
    Idiom("template", "blade", ATTACK, r"\{!!\s{0,4}(?:[0-9]{1,9}\s{0,3}[*+/-]|[a-z_]{2,30}\s{0,2}\(|\$[a-z_]{1,30}\s{0,2}[\[(])[^\x1e]{0,160}!!\}"),
    Idiom("template", "latex", ATTACK, r"\\write18\b|\\(?:input|include|lstinputlisting|verbatiminput|openin[0-9]{1,2}\s{0,2}=?)\s{0,2}(?:\[[^\]\x1e]{0,80}\])?\{?\s{0,2}(?:/|\|)"),
    Idiom("template", "picture", ATTACK, r"%pipe%|\x1e(?:vid:)?msl:[^\s\x1e]|\x1e(?:ephemeral:/|label:@|caption:@)"),
    Idiom("template", "engine-name", LIKELY, r"\x1e\s{0,4}\{\{-?\s{0,4}(?:self|request|_self|_context|lipsum|cycler|url_for|get_flashed_messages)\s{0,4}-?\}\}\s{0,4}\x1e"),
    Idiom("template", "statement", ATTACK, r"\{%-?\s{0,6}(?:import|include|extends|set|if|for|with|macro|call|raw|debug|block|load|from|block|autoescape|filter|do|print|ssi|now|csrf_token|verbatim|set)\b[^\x1e]{0,200}%\}"),
    Idiom("template", "freemarker", CERTAIN, r"<#(?:assign|list|include|import|if|function|macro|setting|attempt|ftl)\b|\?new\s{0,2}\(\s{0,2}\)|\[#(?:assign|include|list|import)\b|freemarker\.template\.utility|\?(?:api|eval|interpret)\b[^\x1e]{0,20}[})]"),
    Idiom("template", "velocity", ATTACK, r"#(?:set|foreach|include|parse|evaluate|define|macro)\s{0,3}\(\s{0,3}[$'\"]|\$(?:class|velocity|context|request|application|session|ex|str|chr|rt|proc|runtime|out|i)\.(?:inspect|class|get[a-z]{2,24}|type|for[a-z]{2,12}|exec|eval|call)\b"),
    Idiom("template", "velocity", LIKELY, r"#(?:if|elseif|foreach|macro)\s{0,3}\([^\x1e)]{1,80}\)[^\x1e]{0,200}#end\b", 2000),
    Idiom("template", "go", LIKELY, r"\{\{-?\s{0,3}(?:printf?|println|html|js|urlquery|len|index|call|define|template|block|slice|\.[a-z]\w{1,30})\s{1,3}[\".][^}\x1e]{0,80}\}\}", 2000),
    Idiom("template", "smarty", ATTACK, r"\{/?php\}|\{(?:(?:system|exec|passthru|phpinfo|shell_exec|eval|fetch)\s{0,3}\(|(?:include|include_php|fetch|eval)\s{1,3}(?:[a-z]{2,12}=|['\"])|self::|smarty::|\$smarty\.|math\s{1,3}[a-z]{2,12}=|literal\}|if\s{1,3}[^}\x1e]{0,80}[(=<>$'\"])[^}\x1e]{0,120}[}(\x1e]?"),
    Idiom("template", "smarty", ATTACK, r"\{[a-z_]{3,40}::[a-z_]{2,40}\([^\x1e]{0,160}\)\s{0,3}\}", 2000),
    Idiom("template", "razor", ATTACK, r"@\(\s{0,3}[0-9]{1,6}\s{0,3}[*+/-]\s{0,3}[0-9]|@\{\s{0,4}(?:var|string|int|system|process|// )|[^a-z0-9._-]@(?:system\.|process\.|html\.raw|model\.|datetime\.|using\s+system)"),
    Idiom("template", "erb", ATTACK, r"<%={0,2}\s{0,6}(?:[0-9]{1,6}\s{0,3}[*+/-]|system|env\b|session\b|\x60|file\.|dir\.|io\.|exec|eval|require|self\.|@|%x|global|process|foo)[^\x1e]{0,200}%>"),
    Idiom("template", "visualforce", ATTACK, r"\{!\s{0,3}\$(?:api|organization|setup|permission)\.[a-z_]{2,40}"),
    Idiom("template", "tag", LIKELY, r"\{exp:[a-z_]{3,24}\s{1,4}[a-z_]{2,24}=|\{@(?:math|select|eq|ne|gt|lt|contextdump)\s{1,4}[a-z]{2,12}="),
    Idiom("template", "jade", LIKELY, r"\x1e[#=!-]{1,2}\s{0,3}\{?\s{0,3}(?:root|global|process|this)(?:\s{0,2}[.=]|\()|#\{\s{0,3}(?:root|global|process|function|this)\b"),
    Idiom("template", "handlebars", ATTACK, r"\{\{#?(?:with|each|if|unless|lookup|log|helper)\s{1,4}['\"(a-z@.][^}\x1e]{0,80}\}\}[^\x1e]{0,400}(?:constructor|lookup|split|push|pop|call|\}\})", 4000),
    Idiom("template", "thymeleaf", CERTAIN, r"__\$\{|\}__::|\|\$\{[^}\x1e]{1,120}\}\||th:(?:text|utext|with|href|src)\s{0,2}=|\*\{t\("),
    Idiom("template", "pebble", ATTACK, r"\{\{\s{0,3}(?:variable|beans|request|response|session)\.[a-z]{2,20}\b[^\x1e]{0,80}\}\}"),
    Idiom("template", "polyglot", CERTAIN, r"\$\{\{<%\[%'\"\}\}%\\|\{\{\s{0,2}[^}\x1e]{0,12}<%|\$\{\{[0-9'\"(]|#\{\s{0,2}[0-9]{1,6}\s{0,2}\*|\{\{='|\{\{\{[^}\x1e]{0,80}(?:constructor|=>|\([^\x1e]{0,80}\)|7\s?\*)"),
    Idiom("template", "mako", ATTACK, r"\$\{\s{0,3}(?:self|context|local|next|parent|capture|loop|pageargs)\.[a-z_]{2,24}|<%\s{0,6}(?:import|from|def|x\s{0,2}=)|\$\{[a-z_]{0,16}(?:\.__|__[a-z]{2,16}__)|<%(?:include|namespace|inherit|def|block|page)\b",
          trigger=r"\$\{\s*(?:self|context|local|next|parent|capture|loop|pageargs)\.[a-z_]{2}|<%\s*(?:import|from|def|x\s*=)|\$\{[a-z_]*(?:\.__|__[a-z]{2,16}__)|<%(?:include|namespace|inherit|def|block|page)\b"),
    Idiom("template", "expression", LIKELY, r"\$\{\s{0,3}['\"][^'\"\x1e]{0,60}['\"]|\$\{\s{0,3}(?:(?:param|header|cookie|request|session|application|page)(?:scope)?|pagecontext|initparam|facescontext|sessionscope)\s{0,2}[.\[]",
          trigger=r"\$\{\s*['\"][^'\"\x1e]*['\"]|\$\{\s*(?:(?:param|header|cookie|request|session|application|page)(?:scope)?|pagecontext|initparam|facescontext|sessionscope)\s*[.\[]"),
    Idiom("template", "expression", LIKELY, r"[$#]\{\s{0,3}(?:pagecontext|facescontext|initparam|(?:application|session|request|page|flash|view)scope|#context|\.(?:version|now|data_model|globals|locals|main|namespace|vars|lang|locale))\s{0,3}\}"),
)  # fmt: skip

JUDGE: Judge = IdiomJudge("template", IDIOMS, TEXTS | XML, cost=0.2)
