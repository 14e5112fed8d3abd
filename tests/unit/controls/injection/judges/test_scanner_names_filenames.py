"""Scanners that say their names and names of files a server would run are found; browsers and documents pass."""

from __future__ import annotations

from types import ModuleType

import pytest

from sallygate.controls.injection.judges import filenames, scanner_names
from sallygate.controls.injection.pipeline.evidence import LIKELY, Evidence
from sallygate.controls.injection.pipeline.prefilter import Prefilter
from sallygate.controls.injection.pipeline.values import FILE_MARK

PREFILTER = Prefilter([scanner_names.JUDGE.triggers, filenames.JUDGE.triggers])

SCANNERS = (
    "sqlmap/1.7#stable (https://sqlmap.org)", "Mozilla/5.00 (Nikto/2.1.6)", "Mozilla/5.0 zgrab/0.x", "masscan/1.3", "gobuster/3.1", "feroxbuster/2.7",
    "WPScan v3.8", "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)", "Fuzz Faster U Fool v2.0", "Wfuzz/3.1.0", "commix/3.5",
    "WhatWeb/0.5.5", "dirsearch", "Acunetix-Product", "Mozilla/5.0 (compatible; Nmap Scripting Engine)", "libwww-perl/6.0", "Arachni/v1.5",
    "OpenVAS", "dalfox/2", "Nessus SOAP",
)  # fmt: skip
BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", "curl/8.0.1",
    "python-requests/2.31", "Go-http-client/2.0", "okhttp/4.12.0", "PostmanRuntime/7.36", "Googlebot/2.1 (+http://www.google.com/bot.html)", "bingbot/2.0",
    "axios/1.6", "Dart/3.2 (dart:io)", "Java/17.0.1", "Wget/1.21", "Apache-HttpClient/4.5", "Slackbot 1.0", "facebookexternalhit/1.1", "node-fetch/1.0",
    "PHP/8.2", "*/*",
)  # fmt: skip
RUN_BY_SERVERS = (
    "shell.php", "x.php5", "x.PhP", "x.phtml", "x.phar", "a.php.jpg", "a.php%00.jpg", "a.php\x00.jpg", "x.jsp", "x.jspx", "x.asp", "x.aspx", "x.asp;.jpg",
    "x.ashx", "x.cgi", "x.pl", "x.war", ".htaccess", "x.exe", "run.bat", "x.sh", "x.hta", "a.shtml", "x.php.", "x.php ", "web.config", "wp-config.php.bak",
    ".env.bak", "id_rsa.bak", "config.yml",
)  # fmt: skip
DOCUMENTS = (
    "report.pdf", "photo.jpg", "IMG_0001.JPG", "letter.docx", "table.xlsx", "data.csv", "archive.zip", "x.tar.gz", "movie.mp4", "song.mp3", "notes.txt",
    "a.b.c.pdf", "phpinfo.pdf", "shell.png", "php.jpg", "config of the house.pdf", "web.png", "my photo.png", "my.png", "program.pdf", "exe.txt", "compile.txt",
    "résumé.odt", "写真.png", "scan (1).tiff", "v1.2.3.zip", "index.html", "style.css", "app.js", "data.json", "settings.png",
)  # fmt: skip


def judged(module: ModuleType, number: int, text: str) -> Evidence | None:
    hits = PREFILTER.hits(FILE_MARK + text if module is filenames else text).get(number)
    found: Evidence | None = module.JUDGE.judge(text, hits) if hits else None
    return found


def test_scanners_are_found() -> None:
    assert (len(SCANNERS), len(BROWSERS)) == (20, 20)
    assert [
        text for text in SCANNERS if (found := judged(scanner_names, 0, text)) is None or found.score < LIKELY
    ] == []
    assert [text for text in BROWSERS if judged(scanner_names, 0, text) is not None] == []


def test_files_a_server_would_run_are_found() -> None:
    assert (len(RUN_BY_SERVERS), len(DOCUMENTS)) == (30, 31)
    assert [
        text for text in RUN_BY_SERVERS if (found := judged(filenames, 1, text)) is None or found.score < LIKELY
    ] == []
    assert [text for text in DOCUMENTS if judged(filenames, 1, text) is not None] == []


def test_only_names_of_files_are_looked_at_as_such() -> None:
    assert 1 not in PREFILTER.hits("shell.php")


def test_spans_hold_what_was_found() -> None:
    found = judged(scanner_names, 0, "x sqlmap/1")
    assert found is not None and (found.start, found.end) == (2, 9)
    found = judged(filenames, 1, "x.php5")
    assert found is not None and (found.family, found.rule, found.start) == ("code", "script-file", 1)


@pytest.mark.parametrize(
    "shape", ["sqlmap", "burp ", ".", ".php", ". ", "/", "config", "/config.", "~", "\x00", "\ud800."]
)
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    text = (shape * 8192)[:8192]
    for module in (scanner_names, filenames):
        found = module.JUDGE.judge(text, list(range(len(module.JUDGE.triggers))))
        assert found is None or 0 <= found.start <= found.end <= len(text)
