"""The SQL judge: values that alter a statement are told of, values that look like it are not."""

from __future__ import annotations

import pytest

from sallygate.controls.injection.sql import TRIGGERS, judge
from sallygate.controls.injection.sqllexer import TOKENS_MAX, tokens_of

ATTACKS = (
    "7 or 3=3", "7) or (3=3", "x' or 'b'='b", 'x" or "b"="b', "x') or ('b'='b", "x' or 5 like 5 -- ", "0 || 2=2",
    "x'||'1'='1", "4 and 2>1", "9 and length(version())>3", "root'--", "root'#", "root') -- ", "root'/*",
    "-5 union select null,null", "-5 UNION ALL SELECT login,secret FROM staff", "5/**/union/**/select/**/7",
    "5 /*!50000union*/ /*!50000select*/ 7", "5e1union(select(7))", "5+union+select+7,8", "5\x0bunion\x0bselect\x0b7",
    "5 union\xa0select\xa07", "x' union select 7-- ", "x'; drop table staff; --", "5; update staff set pw=0",
    "5;insert into staff values(1)", "5;declare @q int", "5;exec xp_dirtree 'c:'", "5;shutdown--", "x';waitfor delay '0:0:9'--",
    "5 and sleep(9)", "x' and pg_sleep(9)--", "(select(0)from(select(sleep(9)))z)", "5-benchmark(900000,md5(7))",
    "x' and extractvalue(7,concat(126,version()))-- ", "5 and 1=utl_inaddr.get_host_address('a')",
    "5 and 1=convert(int,@@version)", "x' order by 9-- ", "5 order by 9#", "5 group by concat(version(),floor(rand(0)*2))",
    "x' having 1=1--", "5 procedure analyse()", "x' into outfile '/srv/a.php'#", "5 and (select count(*) from staff)>0",
    "x'||(select pw from staff limit 1)||'", "x'+(select pw from staff)+'", "case when 4=4 then 1 else 2 end",
    "select * from staff", "insert into staff(login) values('z')", "select pw,login from staff where id=1",
    "from information_schema.columns", "x'-0-'", "x'^1#", "'='", "'-'", "x'='", "x' rlike 'x", "x' between 1 and 2-- ",
    "5 or name is not null and 1=1", "x'or(1)=1-- ", "x' or @@version like '8", "exec master..xp_cmdshell 'dir'",
    "5or 5=5", "5;load data infile 'a'", "5 or 1.e(1)=1",
    # logic without a comparison, and in other words
    "5 or 5", "5 and 0", "5 || true", "5 xor 5", "5 or /*+ hint */ true", "x'or(true)#", "x' or not false#", "x' or ~0#",
    "x' or 4<=>4#", "x' sounds like 'x", "x' div 1#", "x'mod'2", "x' xor(1)#", "x' collate nocase--", "x' glob '*", "':='",
    "x' or _utf8'b'='b", "x' or n'b'=n'b", "x' or x'62'=x'62'#", "x' or name is not null--", "5 or name like '%b%'",
    "x' or f(login)--", "x'is\\N|!'", "x'|login!='", "x'*login-0-'0", '"or"b"="b', '"^"', "`or 4=4#", "x`;drop table staff--",
    # white space and numbers of other kinds
    "4e0union select 7", ".4union select 7", "\\Nunion select 7", "4#\nand#\n9=9", "4--x\nand--y\n9=9", "4/**/or/**/4=4",
    # unions without a select, clauses
    "4 union values(7,8)", "4 union table staff", "x' union values row(7)#", "4 limit 1,1--", "x') limit 1 offset 1--",
    "4 procedure analyse(", "select a group by b having count(c) > 9", "4 as \"b\" from staff",
    # JSON, casts
    "x' or '{\"a\":4}'::jsonb @> '{\"a\":4}'--", "or '{\"a\":4}' ? 'a'", "or '{\"a\":4}' ?| array['a']",
    "'{\"a\":4}'::json #>> '{a}'", "x' or json_extract('{\"a\":4}','$.a')=4#", "login::int", "'{\"a\":4}' > '$.a' = 4",
    # branches, errors, packages
    "if(4=4,1,0)", "IIF(4=4,x,1/0)", "convert(int,@@version)", "make_set(4=4,1)", "4 and dbms_lock.sleep(9)",
    "'||utl_http.request('http://a.example')||'", "4 rlike (select 1)", "elt(4=4,sleep(2))", "select sleep (4 div 2)",
    # statements as a value, and stacked ones
    "4;do sleep(9)", "4; handler staff open", "4;lock tables staff write", "x'; rollback--", "4;shutdown with nowait",
    "declare @x int", "select user from dual", "select name from master..sysdatabases", "drop table staff",
    "alter table staff add column a int", "truncate table staff", "grant all privileges on *.* to staff",
    "create user x identified by y", "select login from staff where id='4'", "select distinct(login) from staff",
    "select * from openrowset('a','b';'c';'d','e')", "create function f returns string soname 'f.so'",
    # a call or a name of a database and nothing else, whole or begun
    "version()", "@@version", "CURRENT_USER(", "concat (", "md5('x')", "db_name()", "information_schema.tables", "pg_catalog",
    "master..xp_cmdshell", "mysql.user", "schema_name", "lo_get(7)", "pow(", ") like (",
)  # fmt: skip

HONEST = (
    "O'Brien", "D'or 1st parfume", "rock 'n' roll", "it's 5' 10\"", "select your options from the menu",
    "union was a great select", "drop table tennis from my order", "the 5 best or 10 = good", "western union select branch",
    "please order by 5 pm", "group by age", "having 2 kids", "the boys' and girls' teams", "boys' and 3-year-old girls' shoes",
    "difference between 'and' and 'or'", "what does 'and' mean", '"cats" or "dogs"', '"index of" -site:example.com',
    'project = "X" AND status = "Done"', "Name eq 'Milk' or Price lt 2", "a=1&b=2", "1---", "size 1 or 2", "3' * 5'", "5'-10\"",
    '{"or": 1, "and": [1, 2], "in": "x"}', "if (a == 'x' || b == 'y') { return 1; }", "var a = 'x'; var b = 'y';",
    "a && foo(bar(x), 1) === 2", "content: '';", "/* css */ a{color:red}", "await sleep(1000)", "var(--x)",
    "query { user(id: 1) { name } }", "ROUND(SUM(A1:A3))", "x = regex.exec(location.search);",
    "ring first; call example.com",
     "call me; exec meeting", "choose one; drop shipping", "john+or@var.es",
    "McDonald's #1", "he said 'no'; she said 'yes'", "migrate from mysql to postgres", "(select one)", "Peter's & Paul's",
    "select * from x where a = '" + "aGk1" * 30 + "'", "&copy; 2020 Smith & Wesson", "git commit -m 'a' -- file", "12 Union St",
    "1 or 2", "2 and 3", "1-0", "1/2", "10 = ten", "5 limit of 10", "create table of contents", "alter table tennis rules",
    "select all from list", "sleep (8 hours)", "concat(first, last)", "count(*)", "lower(name)", "mid (5)", "max(price)",
    "grant all access on request to user", "11.2e.chunk", "std::string", "2001:db8::1", "text::before", '"foo" OR "bar"',
    "We're closed; call 555", "O'Reilly & Sons", "'80s or '90s", "Levi's 501 #32", "men's | women's", "5' - 6' tall",
    "It's 5 o'clock -- somewhere", "project in (A, B) order by rank", "sum(rate(total[5m])) by (job)", "a,null,null",
    "$filter=Price gt 20 and Category eq 'Food'", '=IF(A1=1,"yes","no")', "time.sleep(5)", "don't; exec decision",
    '{"a":"b\' or","c":"d"}', '["or","and",null,null]', "usprivacy=1---", '","--theme-color":1', "@media screen and (min-width:1px)",
)  # fmt: skip


def test_every_case_was_tried() -> None:
    assert len(ATTACKS) == 155
    assert len(HONEST) == 89


@pytest.mark.parametrize("value", ATTACKS)
def test_finds(value: str) -> None:
    found = judge(value)
    assert found is not None
    assert found.family == "sql"
    assert found.score >= 5
    assert 0 <= found.start < found.end <= len(value)


@pytest.mark.parametrize("value", HONEST)
def test_passes(value: str) -> None:
    found = judge(value)
    assert found is None or found.score < 5


DECOYS = (
    "lorem ipsum dolor sit amet " * 200, "'a' 'b' " * 30, "\"a\" 'b' `c` " * 30, "select union case into from where " * 40,
    "-- x # y /* z ", "x ' y ' z '" * 11, "`", "1+" * 300 + "1 ", "; a; b; " * 40, "it's the boys' " * 12, "\u0130" * 400,
)  # fmt: skip
BEHIND_DECOYS = (
    "' or 4=4-- -", "' or 'b'='b", "-4 union select 7,8", "4;drop table staff--", "' and sleep(9)-- -", "root'--",
    "4 and (select count(*) from staff)>0", "'||(select user from dual)||'", "; exec xp_cmdshell 'dir'",
)  # fmt: skip


@pytest.mark.parametrize("decoy", DECOYS)
@pytest.mark.parametrize("value", BEHIND_DECOYS)
def test_nothing_hides_behind_padding(decoy: str, value: str) -> None:
    found = judge(decoy + value)
    assert found is not None
    assert found.score >= 5


@pytest.mark.parametrize(
    ("value", "rule", "score"),
    [
        ("-5 union select null,null", "union-select", 9),
        ("x'; drop table staff; --", "stacked", 9),
        ("x';waitfor delay '0:0:9'--", "waitfor", 9),
        ("root'--", "quoted-probe", 5),
        ("5 order by 9#", "order-by", 7),
    ],
)
def test_names_what_it_found(value: str, rule: str, score: int) -> None:
    found = judge(value)
    assert found is not None
    assert (found.rule, found.score) == (rule, score)


def test_the_span_holds_the_structure() -> None:
    value = "harmless -5 union select null,null"
    found = judge(value)
    assert found is not None
    assert "union select null" in value[found.start : found.end]


@pytest.mark.parametrize(
    ("value", "flat"),
    [
        ("1 or id = 2", "1&i=1"),
        ("1 /* x */ or /*!50000 2*/", "1&1"),
        ("q'[it's]' || N'a'", "s&s"),
        ("0x1f+$$a$$", "1+s"),
        ("version() -- rest", "fc"),
        ("`a`.[b c]", "i.i"),
        ("@@x := 'open", "v=q"),
        ("1e1union", "1U"),
        ("x -- line\nor 1", "i&1"),
    ],
)
def test_lexes_all_dialects(value: str, flat: str) -> None:
    assert tokens_of(value, 0).flat == flat


@pytest.mark.parametrize(
    "piece",
    [
        "'",
        "'(",
        "/*",
        "''\"",
        "or 1=",
        "((",
        "union ",
        ";",
        "f(",
        "1,",
        "+1",
        "!=",
        "q'[",
        "$$a",
        "\\'",
        "case when ",
        "select a,",
        "select a from b ",
        "and'a'",
        "'||",
        "' or ",
        "/*'*/",
        "#a\n",
        "--a\n",
        "/*!",
        "@@a",
        "@ ",
        "@@ '",
        "b ?",
        "1.1e.",
        "a::b",
        "sleep (",
        "user (",
        "if(1=1,",
        "exec a.",
        "+or+1",
        "hex(hex(user",
        "`a`.",
        "\u0130'",
        "\ue000",
    ],
)
def test_hostile_shapes_return(piece: str) -> None:
    text = piece * (8192 // len(piece))
    judge(text)
    assert len(tokens_of(text, 0).kinds) <= TOKENS_MAX + 1


def test_triggers_are_distinct() -> None:
    assert len(TRIGGERS) == len(set(TRIGGERS)) == 79
