"""Steps up and files nobody should ask for are found in every spelling; addresses and paths people write pass."""

from __future__ import annotations

import pytest

from sallygate.controls.injection.judges.traversal import traversal_judge
from sallygate.controls.injection.pipeline.decodings import forms_of
from sallygate.controls.injection.pipeline.evidence import LIKELY, Evidence
from sallygate.controls.injection.pipeline.prefilter import Prefilter

PREFILTER = Prefilter([traversal_judge.JUDGE.triggers])

ATTACKS = r"""
../../secret
../../../srv/app/config
..\..\secret
....//....//secret
....\\....\\secret
..;/..;/manager
/..;/admin
../
..\
/static/../../../x
images/../../x
..%2f..%2fx
..%5c..%5cx
%2e%2e/%2e%2e/x
%2e%2e%2f%2e%2e%2fx
%252e%252e%252fx
%252e%252e/x
..%252f..%252fx
..%c0%af..%c0%afx
..%c1%9c..%c1%9cx
%c0%ae%c0%ae/x
%e0%80%ae%e0%80%ae%e0%80%afx
..%u2215..%u2215x
%uff0e%uff0e/x
0x2e0x2e0x2fx
..0x5c..0x5cx
..%bg%qf..%bg%qfx
%%32%65%%32%65/x
．．/．．/x
..∕..∕x
../../etc/hosts
/etc/passwd
/etc/ssh/sshd_config.conf
//etc//shadow
/etc/nginx/nginx.conf
/proc/self/environ
/proc/1/cmdline
/var/log/nginx/access.log
/var/www/html/config.php
/root/.ssh/id_rsa
/home/me/.ssh/authorized_keys
/usr/local/apache2/conf/httpd.conf
c:\boot.ini
C:/Windows/System32/drivers/etc/hosts
c:\windows\win.ini
d:\inetpub\wwwroot\x
/windows/win.ini
.htaccess
app/.htpasswd
/.git/config
/.env
.env.local
wp-config.php.bak
WEB-INF/web.xml
index.php~
index.php.bak
php://filter/read=x/resource=y
php://input
expect://id
phar://x.phar/y
file:///etc/x
jar:http://evil.example/x.jar!/
zip://x.zip#y
gopher://127.0.0.1/x
data:text/plain;base64,PD8=
data:;base64,PD8=
\\evil.example\share\x
\\203.0.113.9\c$\x
x/.././.././../y
???/??/../x
?./?./?./x
..../..../x
./././././././././././././././x
..%0a/x
..%20/..%20/x
..%09/x
%25%5c..%25%5c..%25%5c
\..%x
/var/lock/x
/var/db/x
""".strip().split("\n")

HONEST = r"""
report.pdf
./report.pdf
a/b/c
img/logo.png
../img/logo.png
../../assets/app.js
https://a.example/../img/logo.png
https://a.example/a/../b.css
<a href="../about.html">about</a>
<img src="../../img/x.png">
<link rel="stylesheet" href="../css/site.css">
url(../fonts/a.woff2)
background: url("../img/a.svg") no-repeat;
import x from '../lib/x.js'
import { a } from "../../model/user.ts"
see ../README for the details of this step
wait... what
and so on.../or not
yes.../no
1/2
either/or...
C:\Users\me\Documents\report.docx is the file that I sent to you
I saved it in C:\Users\me\Documents and cannot find it now
my drive is D: not C:
Drive C: is full
C:
12:30
a:b
/
/a
/home
/users/me
/users/12/profile
/users/12/history
/var
/products/php/books
/blog/config-your-phone
/library/books
/private
/opt-in
/tmp-1
/help/boot-camp
/account/logs
etc
etc.
books, pens, etc/and more
/shop/etc/x
the /etc directory holds settings of a system
You can edit the file /etc/hosts as the root user
look at /var/log/syslog for what went wrong there
shadow
Shadow of the Colossus
box-shadow: 0 0 2px #000
drop-shadow
passwd
your password
windows 11
Windows/Mac
windows
Mozilla/5.0 (Windows NT 10.0; Win64; x64)
system
systems/32
a.b.c
index.html
index.php
style.min.css
app.js?v=1.2.3
1.2.3
v1.2.3..v1.2.4
1..10
a..b
foo...bar
50% off
100%25
%20
a%2Fb
a%2Fb%2Fc.png
%E2%80%A6
%C3%A9t%C3%A9
0x2f5c
0x2e
color: 0x252525
https%3A%2F%2Fa.example%2Fb
https://a.example/php/index
https://a.example/?u=/home/x
mailto:me@a.example
data:image/png;base64,iVBORw0KGgo=
data:image/svg+xml;utf8,x
http://a.example/file:1
profile: me
php: the right way
file: report
zip: 12345
ZIP code 90210
\o/
\n
a\b
\\
AAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/
John's history
browser_history
settings
my settings.json
config
database
error log
backup.zip
photo.jpg
photo (1).jpg
readme.txt
report_2024.old.docx
""".strip().split("\n")


def judged(text: str) -> Evidence | None:
    return traversal_judge.JUDGE.judge(text, []) if PREFILTER.hits(text) else None


def score_of(text: str) -> int:
    """The highest of all forms: plain percent-encoding is undone before this judge."""
    found = (judged(form.text) for form in forms_of(text)[0])
    return max((evidence.score for evidence in found if evidence is not None), default=0)


def test_traversals_are_found() -> None:
    assert len(ATTACKS) == 80
    assert [text for text in ATTACKS if score_of(text) < LIKELY] == []


def test_addresses_and_paths_people_write_pass() -> None:
    assert len(HONEST) == 112
    assert {text: score for text in HONEST if (score := score_of(text)) >= LIKELY} == {}


@pytest.mark.parametrize(
    ("text", "rule", "span"),
    [
        ("x=/etc/passwd", "system-file", "/etc/passwd"),
        ("\u0130=/ETC/x/Hosts", "system-file", "/ETC/x/Hosts"),
        ("x=c:\\Windows", "system-file", "c:\\Windows"),
        ("/var/www/my/nginx/logs.", "system-file", "/var/www/my/nginx/logs."),
        ("q=php://input", "wrapper", "php://input"),
        ("../../../x", "climb", "../../../"),
        ("app/.htaccess", "secret-file", "/.htaccess"),
        ("A" * 80 + "/", "padded", "A" * 80 + "/"),
    ],
)
def test_spans_hold_what_was_found(text: str, rule: str, span: str) -> None:
    found = judged(text)
    assert found is not None
    assert (found.family, found.rule, text[found.start : found.end]) == ("traversal", rule, span)


@pytest.mark.parametrize("text", ["name with /home/a b/my mail", "my/home/jo+mail/x y"])
def test_a_name_after_a_space_in_its_own_segment_is_none(text: str) -> None:
    assert score_of(text) < LIKELY


HOSTILE = ("../", "..", ".", "./", "/", "//", "\\", "%", "%%", "%2e", "%25", "%252e", "%2e%2e%2f", "%c0", "%c0%ae", "%e0%80", "%f0%80", "%fc%80", "%u2215", "%bg", "0x2e", "0x", "\uff0e", "\u2026/", "?", "?/", "..;", "..;a",
           "..\x00", ".%00.", "/..", "\\..", "..2f", "/etc/", "/etc", "/etc/a/", "/etc/a.", "/etc/a", "/proc/", "/var/", "/var/a/", "/var/a", "/var/log", "/var/_log", "/home/", "/home/a a/", "/usr/a.b/", "c:\\", "c:/", "c:\\a\\", "c:\\win",
           "c:\\a.", "a", "A", "AA/", "a.", "a.php", "a.php.", ".php", "a ", "ab ", "{", "{a", "{a:", "<", "\\\\", "\\\\a", "\\\\a\\", "://", "php://", "file:/", "file:///", "data:", "jar:", "convert.", "convert.iconv.a", ".ht", "/.env",
           "my.", "passwd", "shadow", "log", "\u0130/", "\ud800/", "\x1e/")  # fmt: skip


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    for lead in ("", "/etc/", "/var/", "c:\\", ".."):
        text = (lead + shape * 8192)[:8192]
        found = traversal_judge.JUDGE.judge(text, [])
        assert found is None or 0 <= found.start <= found.end <= len(text)
