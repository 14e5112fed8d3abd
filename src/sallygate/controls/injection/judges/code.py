r"""Judge of code injection: PHP, Java, expression languages, JavaScript on servers, Python, Ruby, Perl, server-side includes.

**Threat.** `system('id')`, `<?php … ?>`, `${T(java.lang.Runtime).getRuntime().exec(…)}`, `require('child_process')`,
`__import__('os')` (CWE-94, CWE-95, CWE-917; MITRE T1059).

**Evidence.** `injection.code` with the language and what was recognised.

**How.** Each is one expression (`idiom_judge`): a call of what runs code or commands, with its parenthesis; a name no text uses but
the language itself.

**Known bypasses.** Functions called through variables, names built at run time. Libraries' own dangerous functions.

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import HOP, JSON, TEXTS, Judge

_S = r"[\s\x00*/]{0,6}"
_PHP_RUNS = (
    r"(?:system|exec|passthru|shell_exec|popen|proc_open|pcntl_exec|assert|create_function|call_user_func(?:_array)?|"
    r"preg_replace(?:_callback)?|ob_start|array_(?:map|filter|walk|reduce|diff_u(?:assoc|key))|usort|uasort|uksort|register_(?:shutdown|tick)_function|"
    r"iterator_apply|spl_autoload_register|forward_static_call|highlight_file|show_source|php_strip_whitespace|readfile|fopen|fputs|fwrite|fread|"
    r"fsockopen|pfsockopen|file_get_contents|file_put_contents|base64_decode|gzinflate|gzuncompress|gzdecode|str_rot13|convert_uudecode|strrev|hex2bin|"
    r"phpinfo|phpversion|php_uname|get_current_user|getmyuid|posix_getuid|posix_getpwuid|getenv|ini_set|ini_get|set_time_limit|error_reporting|"
    r"ignore_user_abort|move_uploaded_file|copy|unlink|rmdir|mkdir|chmod|chown|rename|symlink|tempnam|tmpfile|glob|opendir|scandir|dir|curl_exec|curl_init|"
    r"mysql_query|mysql_connect|mysqli_query|mail|mb_send_mail|header|setcookie|extract|parse_str|dl|print_r|var_dump|var_export|debug_zval_refcount|"
    r"get_defined_vars|get_defined_functions|get_loaded_extensions|apache_child_terminate|apache_setenv|escapeshellcmd|escapeshellarg|unserialize|"
    r"is_callable|function_exists|define|constant|chr|ord|implode|sleep|usleep|die|exit|eval|include|include_once|require|require_once)"
)
_PHP_SURE = (
    r"(?:passthru|shell_exec|proc_open|pcntl_exec|create_function|call_user_func(?:_array)?|phpinfo|phpversion|php_uname|posix_getpwuid|posix_getuid|"
    r"register_shutdown_function|register_tick_function|array_diff_ukey|array_diff_uassoc|file_get_contents|file_put_contents|gzinflate|gzuncompress|"
    r"move_uploaded_file|fsockopen|pfsockopen|mb_send_mail|get_defined_vars|get_defined_functions|apache_child_terminate|escapeshellcmd|highlight_file|"
    r"show_source|preg_replace_callback|convert_uudecode|ini_set|set_time_limit|error_reporting|ignore_user_abort|mysql_query|mysqli_query|curl_exec|"
    r"base64_decode|str_rot13|spl_autoload_register|iterator_apply|ob_start|fputs|posix_kill|php_strip_whitespace|readfile|unserialize|hex2bin)"
)
_PHP_SHORT = (
    r"abs|acos|array|asin|atan|ceil|checkdate|chop|closedir|compact|cos|empty|explode|file|floor|fmod|getdate|getopt|hypot|idate|isset|levenshtein|md5|"
    r"metaphone|mt_rand|natsort|ord|pack|pathinfo|pi|pow|printf|rand|realpath|round|rsort|rtrim|sha1|shuffle|sin|similar_text|soundex|sprintf|sqrt|srand|sscanf|stat|strcmp|strlen|strpos|strstr|substr|"
    r"tan|trim|ucfirst|uniqid|unpack|unset|urldecode|urlencode|utf8_decode|vprintf|wordwrap|zlib_decode|gzopen|gzread|bzopen|proc_nice|proc_close|posix_times|ftp_connect|ftp_put|xml_parse|array_pop|array_sum|in_array"
)
_ENGLISH = r"(?:mail|copy|exit|header|rename|dir|define|extract|constant|file|trim|cos|sin|tan|round|floor|array|range|pack|link|print|include|require|sleep|unset|empty|explode|stat|rand|shuffle|glob|abs|pi|pow|sqrt)"
"""Names of functions that are words as well: with plain words in parentheses they are no call."""
_REMARK = r"(?:(?:#[^\n\x1e]{0,40}\n|/\*[^\x1e]{0,40}\*/|//[^\n\x1e]{0,40}\n)\s{0,4})?"
_NO_MACRO = r"(?!__(?:time|interval|from|to|unixepoch|date|range|rate|schema|table|column|sqlstring)[a-z]*\b)"
"""Not a macro of dashboards, `$__timeFilter(ts)` (Grafana)."""
_CALLED = r"(?!\$[a-z_]\w{0,24}(?:\#|//)[^\n\x1e]{0,80}\x1e|\$(?:[a-z_]\w{0,24})?(?:\[\s{0,2}\]|\{\s{0,2}\})\()"
"""Neither behind a remark to the line's end, nor an element without an index: PHP takes both for no call."""
_PLAIN_ARGUMENTS = r"\s{0,3}[$'\"a-z0-9_.,+*@-]{0,40}\s{0,3}\)?"
_JAVA = (
    r"(?:java|javax|jdk|sun|com\.sun|org\.apache\.commons|org\.apache\.xalan|org\.codehaus\.groovy|org\.springframework|org\.mozilla|ognl|groovy|freemarker|jakarta)\."
    r"[a-z0-9_.$]{0,80}(?:runtime|processbuilder|process|scriptengine|class(?:loader)?|system|thread|object(?:input|output)stream|file(?:inputstream|outputstream|reader|writer)?|"
    r"template(?:simpl|s)?|transformer|url(?:classloader)?|beanshell|methodhandle|unsafe|reflect|naming|jndi|ldap|rmi|xmldecoder|serial|base64|util\.scanner|expression(?:factory)?|"
    r"context|ognlcontext|member(?:access)?|factory|closure|invoker|interpreter|eval|shell|socket|net|script|charset|string|character|arrays|execute|spel|standardcontext)"
)

IDIOMS: tuple[Idiom, ...] = (
    # PHP
    Idiom("code", "php-tag", ATTACK, r"<\?(?:\s{0,4}php|=\s{0,4}(?:\$[a-z_]|\x60|[$a-z_(]{3})|\s{0,8}(?:\$[a-z_{]|echo|eval|system|exec|include|require|print|passthru|assert|@[a-z_$]{2}))"),
    Idiom("code", "php-tag", ATTACK, r"<script[^>\x1e]{1,40}language\s{0,4}=\s{0,4}['\"]?php"),
    Idiom("code", "php-tag", LIKELY, r"<\?[^x\x1e]{1,200}\?>|\[\\?/?php\]|<\?\s{0,4}\x1e"),
    Idiom("code", "php-call", ATTACK, rf"[^a-z0-9_.$>\x60-]{_PHP_SURE}{_S}\([^)\x1e]{{0,200}}\)"),
    Idiom("code", "php-call", ATTACK, rf"[^a-z0-9_.$>-](?:system|exec|popen|eval|assert|include|require|print_r|var_dump|die|exit|sleep|usleep|fopen|readfile|getenv|opendir|scandir|unlink|copy|"
          rf"chr|implode|header|extract|parse_str|preg_replace|array_map|array_filter|usort|mail|glob|print|echo|include_once|require_once|curl_init|array_walk|array_reduce|mkdir|rmdir|chmod|define)"
          rf"{_S}\({_S}['\"\x60$][^)\x1e]{{0,200}}\){_S}(?:;|\?>|\x1e|\}}|\)|\.|/)"),
    Idiom("code", "php-call", ATTACK, r"\x1e['\")\s;{$@]{0,8}(?:system|exec|passthru|popen|eval|assert|include|require)(?:_once)?[\s]{0,4}\(?[\s]{0,4}['\"\x60$]"),
    Idiom("code", "php-call", ATTACK, rf"[{{;}}(]{_S}\$?\{{?@?{_PHP_RUNS}{_S}\([^)\x1e]{{0,200}}\){{1,4}}{_S}[}};]",
          trigger=rf"[{{;}}(][\s$@{{]{{0,4}}{_PHP_RUNS}\s{{0,4}}\("),
    Idiom("code", "php-call", ATTACK, rf"\$\{{@?{_PHP_RUNS}{_S}\("),
    Idiom("code", "php-call", LIKELY, rf"\x1e\s{{0,4}}{_PHP_SURE}\s{{0,4}}(?:\(|\x1e)", 200),
    Idiom("code", "php-call", ATTACK, r"\[\s{0,3}(?:system|exec|passthru|shell_exec|popen|eval|assert|phpinfo)\s{0,3}\(\s{0,3}['\"][^)\x1e]{0,80}\)\s{0,3}\]", 400),
    Idiom("code", "php-variable", ATTACK, r"\$\{?_(?:get|post|request|server|cookie|files|session|env)\b"),
    Idiom("code", "php-variable", ATTACK, r"\$(?:globals\b|http_(?:raw_post_data|(?:get|post|server|cookie|env|post_files|session)_vars))|\b_(?:get|post|server|request|cookie|session|files|env)\s{0,4}\["),
    Idiom("code", "php-variable", ATTACK, r"\$[a-z_][a-z0-9_]{0,24}\s{0,4}(?:\[[^\]\x1e]{0,24}\]\s{0,2})?\(\s{0,4}\$[a-z_{]|\$\{?\$[a-z_]{3,16}\s{0,2}(?:=[^$\x1e]{0,40}(?:[^$\x1e]\x1e|;)|[(\[}])|\(\s{0,4}['\"](?:system|exec|passthru|phpinfo|assert|eval|shell_exec)['\"]\s{0,4}\)\s{0,4}\("),
    Idiom("code", "php-variable", ATTACK, r"\$[a-z_][a-z0-9_]{0,24}\s{0,4}=\s{0,4}(?:['\"][^'\"\x1e]{0,80}['\"]\s{0,4};|new \w|\(\s{0,3}['\"$\[(]|base64_decode|array\()"),
    Idiom("code", "php-setting", ATTACK, r"(?:allow_url_(?:include|fopen)|safe_mode|disable_functions|open_basedir|auto_(?:pre|ap)pend_file|suhosin\.simulation|cgi\.force_redirect|extension_dir)[\s+]{0,4}(?:=|%3d)"),
    Idiom("code", "php-setting", LIKELY, r"-d[\s+]{0,3}(?:allow_url_include|safe_mode|disable_functions|open_basedir|auto_prepend_file)"),
    Idiom("code", "php-concat", ATTACK, r"(?:\(\s{0,3}['\"][a-z_]{1,12}['\"]\s{0,3}\.\s{0,3}['\"][a-z_]{1,12}['\"]\s{0,3}\)|['\"](?:\\[0-7]{2,3}|\\x[0-9a-f]{2}){3,40}['\"])\s{0,4}\("),
    Idiom("code", "php-call", LIKELY, r"(?:bzdecompress|gzdecode|zlib_decode|posix_[a-z]{3,12}|file_exists|is_(?:array|callable|object|file|dir|writable)|assert_options|filegroup|strip_tags|intval|"
          r"v?s?printf|unpack|substr|str_replace|mt_rand|array_[a-z_]{3,20})\s{0,4}=?\([^\x1e)]{0,24}\)?[;\s]{0,3}\x1e", 80),
    Idiom("code", "php-call", LIKELY, r"\x1e(?:exec|system|passthru|popen|fopen|eval|assert|shell_exec|readfile)(?:\s|#[^\n\x1e]{0,40}\n|/\*[^\x1e]{0,40}\*/|//[^\n\x1e]{0,40}\n){0,4}\([^\x1e]{0,40}\)[;\s]{0,3}\x1e", 80,
          trigger=r"\x1e(?:exec|system|passthru|popen|fopen|eval|assert|shell_exec|readfile)[\s#/(]"),
    Idiom("code", "php-call", LIKELY, rf"{_PHP_SURE}(?:\s|/\*[^\x1e]{{0,20}}\*/){{0,4}}=?\([^\x1e)]{{0,40}}\)", 120),
    Idiom("code", "php-call", LIKELY, r"(?:\(\s{0,3}string\s{0,3}\)\s{0,3})?[(\[{]{1,2}\s{0,3}['\"]?(?:system|exec|passthru|shell_exec|popen|assert|eval|phpinfo|sy['\"]?\.)[a-z().'\" \x5d{}0]{0,24}[)\]}]\s{0,4}"
          r"(?:\[[^\]\x1e]{0,8}\])?\s{0,4}\(\s{0,4}['\"]?[a-z/ _-]{1,40}['\"]?\s{0,4}\)", 160),
    Idiom("code", "php-variable", LIKELY, _CALLED + r"\$" + _NO_MACRO + r"(?:\s{0,4}[{$@]){0,4}[a-z_][@\w.\[\]{}~!'\"/*#\r\n\t +>-]{0,60}\([0-9$]{0,6}[a-z_]{0,12}\)|\$\s{1,20}\{(?!\s{0,8}[}\x1e])", 120,
          trigger=r"\$[\s{$@]{0,4}[a-z_][@\w.\[\]{}~!'\"/*#\r\n\t +>-]{0,60}\([0-9$]{0,6}[a-z_]{0,12}\)|\$\s{1,20}\{"),
    Idiom("code", "php-setting", LIKELY, r"\x1e(?:opcache\.[a-z_]{3,40}|mbstring\.[a-z_]{3,40}|unserialize_max_depth|memory_limit|max_execution_time|"
          r"display_errors|log_errors|error_log|file_uploads|upload_tmp_dir|include_path|session\.[a-z_]{3,30}|sendmail_path|zend_extension|short_open_tag)\s{0,3}=\s{0,3}[\w./-]{1,30}\x1e", 100),
    Idiom("code", "php-call", LIKELY, rf"[^a-z0-9_.](?<![a-z]-)(?!{_ENGLISH}\s{{0,3}}\(\s{{0,3}}[a-z0-9 ]{{0,20}}\)(?!\s{{0,3}};))(?:{_PHP_RUNS}(?:['\"]{{0,3}}{_REMARK}\((?!e?s\)){_PLAIN_ARGUMENTS}[\s;]{{0,3}}|\s{{1,3}}\(\s{{0,3}}[$'\"]{_PLAIN_ARGUMENTS}[\s;]{{0,3}}|"
          rf"['\"\s]{{0,3}}{_REMARK}\((?!e?s\)){_PLAIN_ARGUMENTS}\s{{0,3}};\s{{0,3}})|(?:{_PHP_SHORT})['\"\s]{{0,3}}{_REMARK}\((?!e?s\)){_PLAIN_ARGUMENTS}\s{{0,3}};\s{{0,3}})\x1e", 160,
          trigger=rf"[^a-z0-9_.](?:{_PHP_RUNS[3:-1]}|{_PHP_SHORT})(?:\(| \(|['\"]\(|/\*|#)"),
    Idiom("code", "php-variable", LIKELY, _CALLED + r"\$" + _NO_MACRO + r"(?:\s{0,4}[{$]){0,16}\s{0,2}[@a-z_\[{~!-](?<!\$\s[a-z])(?<!\$\s\s[a-z])[@\w.\[\]{}~! -]{0,30}[\s)]{0,8}\([^)\x1e]{0,60}\)", 160,
          trigger=r"\$[\s{$]*[@a-z_\[{~!-][@\w.\[\]{}~! -]*[\s)]*\("),
    Idiom("code", "php-concat", ATTACK, r"\(\s{0,4}(?:\(\s{0,3}string\s{0,3}\)|['\"]|/\*|\[)[^()\x1e]{0,60}['\"\]/)]\s{0,4}\)?\s{0,4}(?:\{[^}\x1e]{0,20}\}|\[[^\]\x1e]{0,20}\])?(?:\((?!https?:|mailto:|/[a-z])|\s{1,4}\((?=\s{0,4}['\"][a-z/ -]{1,20}['\"]\s{0,4}\)))\s{0,4}['\"a-z/]", 300,
          trigger=r"\(\s*(?:\(\s*string\s*\)|['\"]|/\*|\[)[^()\x1e]*['\"\]/)]\s*\)?\s*(?:\{[^}\x1e]{0,20}\}|\[[^\]\x1e]{0,20}\])?\s*\("),
    Idiom("code", "php-call", ATTACK, r"['\"]\s?\.\s?[a-z_]{2,30}\s?\([^()\x1e]{0,80}\)\s?\.\s?['\"]", 400),
    Idiom("code", "php-call", ATTACK, r"['\"]\s?(?:\.|\)?\s?,)\s?(?:system|exec|passthru|shell_exec|popen|eval|assert|phpinfo|print|sleep|file_get_contents|base64_decode)\s?\([^)\x1e]{0,80}\)\s?(?:[.;,]|\x1e)", 400),
    Idiom("code", "php-call", ATTACK, r"\b(?:print|die|exit|echo)\s?\(?\s?(?:md5|sha1|phpversion|php_uname)\s?\(['\"]?[^)\x1e]{0,40}\)", 400),
    Idiom("code", "php-call", ATTACK, r"\(\s?chr\s?\(\s?[0-9]{1,3}\s?\)(?:(?:\s?\.\s?|\s)?chr\s?\(\s?[0-9]{1,3}\s?\)){2,39}\s?\)|\(~[^()\x1e]{2,40}\)\s?\("),
    Idiom("code", "php-call", ATTACK, r"preg_replace\s?\(\s?['\"]([/#~|]).{0,60}[/#~|][a-z]{0,4}e[a-z]{0,4}['\"]", trigger=r"preg_replace\s?\(\s?['\"][/#~|]"),
    Idiom("code", "php-call", LIKELY, r"\x1e__(?:construct|destruct|wakeup|tostring|callstatic|invoke)\x1e|\\think\\[a-z]|invokefunction|\[#(?:post_render|pre_render|lazy_builder|access_callback|value_callback)\]"),
    # Java, OGNL, SpEL, EL, Groovy
    Idiom("code", "java-class", ATTACK, rf"[^a-z0-9_.-](?!javax\.faces\.(?:viewstate|partial|source|behavior|clientwindow)\b|(?:sun|jakarta)\.[a-z-]{{2,20}}(?:[^a-z0-9_.]|\x1e)|java[a-z.]{{0,60}}(?:exception|error)\b){_JAVA}", 4000, trigger=rf"[^a-z0-9_.-]{_JAVA}"),
    Idiom("code", "java-class", LIKELY, r"(?:java\.(?:io|lang|util|net|nio|sql|rmi|security|beans|text|applet|awt)\.(?![a-z.]{0,60}(?:exception|error)\b)[a-z]|javax\.(?:script|naming|management|xml|el|crypto|imageio|print|swing|net|activation|servlet|sql|rmi)\.|com\.opensymphony|com\.sun\.org|org\.apache\.(?:commons|struts|"
          r"xalan|tomcat|catalina|axis)|org\.omg\.corba|org\.springframework|freemarker\.template|com\.mchange|com\.caucho|sun\.(?:reflect|rmi|misc))", 300,
          trigger=r"java\.(?:io|lang|util|net|nio|sql|rmi|security|beans|text|applet|awt)\.[a-z]|javax\.(?:script|naming|management|xml|el|crypto|imageio|print|swing|net|activation|servlet|sql|rmi)\.|com\.opensymphony|com\.sun\.org|org\.apache\.(?:commons|struts|xalan|tomcat|catalina|axis)|"
          r"org\.omg\.corba|org\.springframework|freemarker\.template|com\.mchange|com\.caucho|sun\.(?:reflect|rmi|misc)"),
    Idiom("code", "java-class", ATTACK, r"java\.(?:lang\.)?(?:runtime|processbuilder)|(?:getruntime|processbuilder|newinstance|forname|getdeclared(?:method|field|constructor)s?|getmethod|getclassloader|defineclass|loadclass)\s{0,4}\("),
    Idiom("code", "java-class", LIKELY, r"(?:unmarshaller|unmarshal|base64data|java\.|runtime\.getruntime|processbuilder)[^\x1e]{0,60}(?:processbuilder|runtime|class|clonetransformer|forclosure|instantiate(?:factory|transformer)|invokertransformer|"
          r"prototype(?:clone|serialization)factory|whileclosure|getproperty|filewriter|xmldecoder|unmarshal|java\.)", 4000),
    Idiom("code", "java-gadget", ATTACK, r"clonetransformer|forclosure|instantiate(?:factory|transformer)|invokertransformer|prototype(?:clone|serialization)factory|whileclosure|badattributevalueexp|templatesimpl|xmldecoder|"
          r"annotationinvocationhandler|comparablecomparator|beancomparator|jdbcrowsetimpl|ysoserial|commonscollections[0-9]|javassist|bcel\$|abstracttranslet"),
    Idiom("code", "java-binding", ATTACK, r"class(?:\[|\.|%2e|%5b)['\"]?(?:module|classloader|protectiondomain)|class\.module\.classloader|\.resources\.context\.parent\.pipeline"),
    Idiom("code", "ognl", CERTAIN, r"#_?memberaccess|@ognl\.|#context\[|#parameters\.|(?:#|%23)(?:_memberaccess|application|session|request|attr|rt|cmd|p|a|b|res|req)\s{0,3}=\s{0,3}[(@#n]|allowstaticmethodaccess|xwork\.methodaccessor|"
          r"@java\.(?:lang|io|util|net)|\(#_|denymethodexecution|\(#[a-z_]{1,24}\s{0,3}=\s{0,3}[#@(n'\"]|%\{#|\$\{#[a-z_]{1,24}[.=]"),
    Idiom("code", "spel", CERTAIN, r"\bt\s{0,4}\(\s{0,4}(?:java|javax|org|com|sun|system|runtime|string)\b|new\s{1,4}java\.|\(\)\.getclass\(\)|\.class\.forname|\"\"\.class|''\.class|#this\.|#root\."),
    Idiom("code", "groovy", ATTACK, r"['\"][^'\"\x1e]{1,120}['\"]\]?\.execute\(\)|\beval\.me\s?\(|new\s{1,4}groovyshell\b|@grab(?:resolver|config)?\s?\(|\x1ethread\.sleep\s?\(\s?[0-9]{1,9}\s?\);?\x1e"),
    # JavaScript on servers
    Idiom("code", "node", ATTACK, r"require\s{0,4}\(\s{0,4}['\"\x60](?:child_process|fs|vm|net|http|https|os|path|process|crypto|cluster|repl|module|inspector|node:)"),
    Idiom("code", "node", ATTACK, r"process\s{0,3}(?:\.|\.\s{1,3}(?=[a-z]{3,12}\s{0,3}[.(\[])|\[\s{0,3}['\"\x60]?)(?:env\b|mainmodule|binding|exit\b|kill\b|dlopen|argv|cwd\b|stdout|req\.|constructor)",
          trigger=r"process\s{0,3}(?:\.\s{0,3}|\[\s{0,3}['\"\x60]?)(?:env|mainmodule|binding|exit|kill|dlopen|argv|cwd|stdout|req\.|constructor)"),
    Idiom("code", "node", ATTACK, r"(?:child_process|execsync|spawnsync|execfilesync|spawn)\s{0,3}(?:\(|\.|\[)|\.mainmodule\b|global\.process|globalthis\.process|new\s{1,4}function\s{0,4}\(|(?:this|self|global)\.constructor\.constructor|constructor:constructor"),
    Idiom("code", "node", LIKELY, r"\bconsole\s{0,3}(?:\.\s{0,3}|\[\s{0,3}['\"\x60])(?:log|info|error|debug|trace|dir|warn)['\"\x60]?\]?\s{0,3}\(", 120),
    Idiom("code", "endless-loop", ATTACK, r"\b(?:while|for)\s{0,4}\(\s{0,4}(?:;\s{0,4};|(?!!(?:true|infinity|[1-9])[\s)])(?:[!+\s(-]{0,12}(?:true|false|null|nan|undefined|infinity|this|[01]|\[\]|\{\}|''|\"\"|\x60\x60|-?\d{1,3})[\s)]{0,4})\))", 400,
          trigger=r"\b(?:while|for)\s*\(\s*(?:;\s*;|[!+\s(-]*(?:true|false|null|nan|undefined|infinity|this|[01]|\[\]|\{\}|''|\"\"|\x60\x60|-?\d{1,3})[\s)]*\))"),
    # Python
    Idiom("code", "python", CERTAIN, r"__(?:import|subclasses|builtins|globals|mro|bases|base|reduce|reduce_ex|getattribute|loader|code)__"),
    Idiom("code", "python", ATTACK, r"__(?:class|init|dict|self|call|name|doc)__\s{0,3}(?:\.[^p]|\.p[^y]|\[|\)|\|)|(?:os|subprocess|commands|pty|posix|sys|platform|importlib)\.(?:system|popen[234]?|call|run|check_output|check_call|getoutput|spawn[lv]?[pe]?|execv?[pe]?|listdir|environ|import_module|modules)\b"),
    Idiom("code", "python", ATTACK, r"\b(?:eval|exec|compile)\s{0,3}\(\s{0,3}(?:compile|open|input|__|chr|base64|bytes|'|\"|codecs)[^\x1e]{0,200}\)|\bopen\s{0,3}\(\s{0,3}['\"][/.c][^'\"\x1e]{1,120}['\"][^)\x1e]{0,40}\)\s{0,3}\.\s{0,3}read"),
    Idiom("code", "python", LIKELY, r"\x1e(?:breakpoint|globals|locals|vars|dir|exit|quit)\(\)\x1e|\x1e(?:print\s?\()?open\s?\(\s?['\"][^'\"\x1e]{1,120}['\"][^)\x1e]{0,20}\)\.(?:read|write)|\x1etime\.sleep\s?\(\s?[0-9]|"
          r"\bgetattr\s?\(\s?[a-z_.]{1,40}\s?,\s?['\"]|[a-z0-9_)\]]\.__(?:class|dict|init)__\x1e"),
    Idiom("code", "lua", ATTACK, r"\b(?:os\.execute|io\.popen|loadstring|debug\.getinfo)\s?\(\s?['\"\[]"),
    # Ruby, Perl
    Idiom("code", "ruby", ATTACK, r"\b(?:process\.(?:spawn|fork|exec|kill)|kernel\.(?:open|exec|system|spawn|eval)|io\.(?:popen|read|binread|readlines|sysopen)|file\.(?:open|read|readlines)|open3\.|pty\.spawn|instance_eval|class_eval|erb\.new|send\s?\(\s?:(?:system|eval|exec|spawn|open|send))\b\s{0,3}[(.'\"\s]|[\s=;(\x1e\x60]%x[({\[|!/][a-z][^\x1e]{1,80}[)}\]|!/]"),
    Idiom("code", "perl", ATTACK, r"@\{\s{0,3}\[\s{0,3}[^\x1e]{0,80}\]\s{0,3}\}|\buse\s{1,4}(?:socket|io::|lwp|mime::base64)[a-z0-9_:]{0,24}\s{0,3}(?:;|qw|['\"(])|[\s=;({\x1e\x60](?-i:qx)[({/'|!]\s{0,3}[a-z/][^\x1e]{1,80}[)}/'|!]|\bperl\s{1,4}-m?[ei]|\bopen\s{0,3}\(\s{0,3}(?:my\s)?[$a-z]{1,12}\s{0,3},\s{0,3}['\"][|<>]"),
    # Included by the web server
    Idiom("code", "server-side-include", CERTAIN, r"<!--\s{0,4}#\s{0,4}(?:exec|include|echo|config|printenv|set|fsize|flastmod|if|goto)\b"),
    Idiom("code", "server-directive", LIKELY, r"\x1e\s{0,4}(?:redirect(?:match)?\s{1,4}(?:30[1278]|permanent|temp|seeother)\s{1,4}/\S{0,80}\s{1,4}https?://|rewrite(?:rule|cond)\s{1,4}\S{1,80}\s{1,4}\S|addhandler\s{1,4}\S{1,80}\s{1,4}\.|addtype\s{1,4}application/x-httpd|"
          r"sethandler\s{1,4}[a-z]|php_(?:admin_)?(?:value|flag)\s{1,4}[a-z_.]{3,40}\s)", 2000),
    Idiom("code", "xml-rpc", ATTACK, r"<methodname>\s{0,4}(?:pingback\.|system\.(?:multicall|listmethods)|demo\.sayhello|wp\.getusersblogs)"),
    Idiom("code", "edge-side-include", ATTACK, r"<esi:(?:include|vars|inline|debug|remove|comment|eval|assign)"),
    Idiom("code", "asp", ATTACK, r"<%\s{0,4}(?:@\s{0,4}[a-z]{4}|response\.|execute|eval|request|set\s|dim\s|import)|\bresponse\.write\s{0,3}\(|server\.createobject|wscript\.shell|<%[^%\x1e]{1,160}[(;\"'][^%\x1e]{0,160}%>"),
    Idiom("code", "coldfusion", ATTACK, r"<cf(?:execute|file|include|query|content|http|object|script|output|set)\b"),
    # Spreadsheets that a download is opened in
    Idiom("code", "formula", ATTACK, r"\x1e[\s\"]{0,4}[=+@-][^\x1e\n]{0,120}\|\s?'[^'\x1e]{0,300}'![a-z]{1,3}[0-9]{1,7}|\bdde(?:auto)?\s?\(?\s?['\"]{0,2}(?:cmd|c:|msexcel|powershell)",
          trigger=r"\|\s?'[^'\x1e]{0,300}'![a-z]{1,3}[0-9]|\bdde(?:auto)?\s?\(?\s?['\"]{0,2}(?:cmd|c:|msexcel|powershell)"),
    Idiom("code", "formula", LIKELY, r"\x1e[\s\"]{0,4}[=+@-]\s?(?:webservice|hyperlink|image|import(?:xml|data|feed|html|range))\s?\(\s?(?:concat(?:enate)?\s?\(|['\"][^'\"\x1e]{1,200}['\"]\s?&)"),
    Idiom("code", "data-url", ODD, r"data:[a-z]{2,12}/[a-z0-9.+-]{2,40};base64,", 400),
)  # fmt: skip

JUDGE: Judge = IdiomJudge("code", IDIOMS, TEXTS | JSON | HOP, cost=0.2)
