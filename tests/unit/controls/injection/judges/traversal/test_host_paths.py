"""A value that is nothing but the path of what only the host reads is found; addresses, prose and work that name it pass."""

from __future__ import annotations

import pytest

from sallygate.controls.injection.judges.traversal import host_paths
from sallygate.controls.injection.pipeline.decodings import forms_of
from sallygate.controls.injection.pipeline.evidence import LIKELY, Evidence
from sallygate.controls.injection.pipeline.prefilter import Prefilter

PREFILTER = Prefilter([host_paths.JUDGE.triggers])

ATTACKS = r"""
........etcpasswd
c:windowswin.ini
....web-inf/web.xml
/..{file}
///{FILE}
/0x2e0x2ex2e0x2e{file}
/...
/.../
\...\
\...\x
/....//x
..%\x
./\/./
.\/\.\x
%2e%2e
.%2e
%252e%252e
/%2e
%2e/x
%c0%ae
%c0%ae%c0%ae
%uff0e%uff0e
%u002e/x
.%uefc8x
%%32%65%%32%65
/%00//%00/x
%00/x
/a/.;x/b
page.php%00
page.php%00.jpg
https://evil.example/x.txt%00
x/%00
shop.aspx::$DATA
\\.\C:\x
\\?\c:\windows
\\%3f\c:\x
\\evil.example@SSL\x
/proc/kallsyms
/proc/$$/environ
//proc/sys/kernel/hostname
proc/self/environ
/sys/class/net/eth0/address
/dev/urandom
/dev/sda1
/dev/fd/0
/boot/grub/menu.lst
/root/.config
/home/jo/.netrc
~/.config/x
~jo/.profile
/.lesshst
/.sh_history
/app/.Xauthority
/root/install.log
/master.passwd
etc/shadow
etc\hosts
/run/secrets/db
/var/run/secrets/kubernetes.io/serviceaccount/token
/tmp/sess_0123456789abcdef
/x/CVS/Entries
/Users/jo/Library/Keychains/login.keychain
/private/etc/master.passwd
C:\hiberfil.sys
/sysprep.inf
\inetpub\logs\x
%SystemDrive%\x
c:\*
\winnt
/scripts/x.exe?/c+dir
/logs/pure-ftpd.log
/www/logs/jo-access_log
\mysql\data\mysql.err
/x/tomcat-users.xml
/pgsql/data/pg_hba.conf
/mysql/my.ini
/x/conf/server.xml
/WEB-INF./web.xml
ssh2.shell://a@b/xterm
data://text/plain,x
local_file:///x
http://evil.example/x.gif?cmd=id
//evil.example/x.txt?
""".strip().split("\n")

HONEST = r"""
/files/{file}
/{file}
{file}
/v1/{bucket}/{file}
./{name}
etcpasswd-reset.example
.
..
...
....
.../
.../page/2
/.../page/2
50..%
./
/.hidden/x
C:
C:\temp
C:\fakepath\photo.jpg
%2F
%2Fhome%2Fjo
.%2Fimages
%2E5
joe%2Edoe
a%2Eb%2Ec
0x2f
0x5c
abc%00
1.0
self::$data
static::$data['x']
$app.config::$items
/a;jsessionid=AB/x
/dev
/dev/login
/dev/console/projects
/devices/42
/sys/user/list
/process/list
/proc/checkout
/boots/winter
/bootstrap.min.css
/run/42/results
/runs/secrets
/home
/home/jo/report.pdf
/users/jo/avatar.png
~
~jo
~/notes.txt
~5 minutes
/.well-known/security.txt
/.gitignore
.vimrc
https://code.example/dotfiles/.vimrc
I edited /.vimrc and then it broke
/session/sess_123456
/library/books/1
/users/jo/Library/Mobile Documents/x.pdf
/private/profile
/windows
\windows 11
C:\inetpub\wwwroot is where our site lives
the page file is C:\pagefile.sys on every machine here
/api/v1/logs/app.log
/wiki/nginx
/blog/apache-access-log-explained
/logs/2024-01-01.log
/docs/postgresql.conf.html
https://docs.example/x/my.ini
where is my.ini?
/conf/server
/a/server.xml
https://a.example/x.txt
https://a.example/x.png?v=3
https://a.example/x.txt?cmd=download
https://a.example/x?
//cdn.example/lib.js
//cdn.example/lib.js?v=3
data:image/png;base64,AA==
local file: x
""".strip().split("\n")


def judged(text: str) -> Evidence | None:
    hits = PREFILTER.hits(text).get(0)
    return host_paths.JUDGE.judge(text, hits) if hits else None


def score_of(text: str) -> int:
    """The highest of all forms: encodings are undone before this judge."""
    found = (judged(form.text) for form in forms_of(text)[0])
    return max((evidence.score for evidence in found if evidence is not None), default=0)


def test_paths_of_the_host_are_found() -> None:
    assert len(ATTACKS) == 83
    assert [text for text in ATTACKS if score_of(text) < LIKELY] == []


def test_what_people_send_passes() -> None:
    assert len(HONEST) == 81
    assert {text: score for text in HONEST if (score := score_of(text)) >= LIKELY} == {}


@pytest.mark.parametrize(
    ("text", "rule", "span"),
    [
        ("%2e%2e/x", "dots-disguised", "%2e"),
        ("/proc/kallsyms", "kernel-file", "/proc/kallsyms"),
        ("x.aspx::$DATA", "file-stream", "x.aspx::$DATA"),
        ("page.php%00", "cut-ending", "e.php%00"),
        ("/a/.;b/c", "dot-parameter", "/.;b/"),
    ],
)
def test_spans_hold_what_was_found(text: str, rule: str, span: str) -> None:
    found = judged(text)
    assert found is not None
    assert (found.family, found.rule, text[found.start : found.end]) == ("traversal", rule, span)


HOSTILE = (".", "/", "./", "../", "/\\", "...", "%", "%2", "%25", "%2e", "%252e", "%c0", "%c0%", "%c0%ae", "%u", "%f0%80", "%00", "/%00", "\x00", "a.b", "a.b%00", "::$", "\\\\", "\\\\.\\", "/proc/", "/proc/1/", "/sys/class/a",
           "/dev/", "/boot/grub", "/root/.", "~", "~a", "/.", "/.bash", "/.a_hist", "/var/lib/", "/tmp/a/", "cvs/", "/library/", "/private/etc/", "/pagefile.", "inetpub\\", "/a/", "/a_", "/access_", "/access.log", "/httpd-", "/conf/",
           "web-inf.", "data://", "http://a", "//a/", "?", "?\x1e", "\x1e", "\x1e/", "\x1e/a", "\x1e.", "\u0130", "\ud800")  # fmt: skip


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    every = list(range(len(host_paths.JUDGE.triggers)))
    for lead in ("", "/", "\x1e/", "%2e"):
        text = (lead + shape * 8192)[:8192]
        found = host_paths.JUDGE.judge(text, every)
        assert found is None or 0 <= found.start <= found.end <= len(text)
