"""The SQL judge: values that alter a statement are told of, values that look like it are not."""

from __future__ import annotations

import pytest

from sallygate.controls.injection.judges.sql.sql_judge import JUDGE
from sallygate.controls.injection.judges.sql.sql_lexer import TOKENS_MAX, tokens_of
from sallygate.controls.injection.pipeline.prefilter import Prefilter

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
    # literals of a type and of a character set, ODBC's braces
    "4 or bool 't'", "4 and bool't'", "x' or bool 't", "x' or boolean'yes", "4 or not bool 't'", "x' or date'2020-02-03'#",
    "4 or date '2020-02-03'", "x' or time'10:00'#", "x' or timestamp '2020-02-03 04:05:06'#", "x' or interval'4 day'>'4 hour",
    "x' or _utf8mb4 0x34#", "x' or _binary'4'#", "x' or{x 4}#", "x' or{x login}>'b", "4 or{x 4}", "4 and{x login}>0x62",
    # names of several parts, tuples, arithmetic
    "4 or staff.id>0", "4 or s.id=s.id", "4 and staff.login like 'b%'", "x' or a.b.c>'b", "4 or a.b not in(0)",
    "x' or (login,pw)<>('b','c')#", "x' or (login,pw)>('b','c') or '", "4 or(id,4)>(0,0)", "x') or (s.login,pw)=('b','c')--",
    "4 or id+0>0", "4 or id*4>0", "x' or login&4 or '",
    # comparisons of several words, negated, and with any of many
    "4 or login not like 0x62", "4 and(login)not like(0x62)", "4 or id not in(0)", "or login not like 0x62#", "||login not in(0)#",
    "x' or login is distinct from 'b", "4 or login is distinct from 0x62", "x' and pw is not distinct from 'b",
    "x' or login^@'b", "4 or login^@'b'", "x' and login similar to 'b%", "4 or login similar to 'b%'", "x' or login overlaps 'b",
    "x' or 4 member of('[4]')#", "x' or login operator(pg_catalog.~)'^b", "x' or login=any(array['b'])--",
    "x' or login>all(table staff)#", "4 or id=some(table staff)", "4 or login notnull", "4 or login isnull",
    # quotes that open nothing, literals side by side
    "x:' or login like 'b%", "x:' or pw>'m", "x[' or true or '", "x{' or login>'b", "site:' or role='boss", "x:' order by 3--",
    "x:' limit 1,1#", "x:'||pw||'", "x:' and login is not null--", "x:' or login>','", "x:' or login like',", "[' or id in(4)#",
    "x' 'y' 'z' or login>'b", "x' '' '' or pw like 'b%", "x' 'y' 'z' order by 3-- ", "x' 'y' 'z' limit 1#", "root' '' ''#",
    # truth computed with
    "4^(id>0)", "4-(id=2)", "4*(login>'b')", "4/(pw like 'b%')", "4-(pw regexp 0x5e62)", "4-(not id=2)", "4-(login in('b'))",
    "4 rlike(pw)", "if(pw>'m',id,login)", "iif(pw>'m',4,5)", "if(s.pw>0x62,id,login)", "(pw like 'b%')", "pw regexp '^b'",
    "id*(pw>'m')",
    # out of what is inserted and set
    "x',role='boss", "x', role=0x626f7373, y='", "x') returning pw--", "x') returning (pw)--", "x') returning *#",
    "x','y') on duplicate key update pw='b' #", "x','y') on conflict(login) do update set role='boss'--",
    # of administration, stacked
    "4;set global general_log=1", "4';set global log_output='FILE'--", "4;set role boss", "4;set local role boss",
    "4;set session authorization boss", "4;set password='b'", "4;install plugin a soname 'b.so'", "4;uninstall plugin a",
    "4;change master to master_host='evil.example'", "4;purge binary logs to 'b'", "4;/**/purge/**/binary/**/logs/**/to/**/'b'",
    "4;reindex table staff", "4; reset master", "4 drop table staff", "4 delete from staff where id=4", "4 select pw from staff--",
    "x' drop table if exists staff--", "x:'or login>','", "x:'or pw like','", "x:' or 4 in(4,','", "x:' or login>n','", "4; drop table if exists staff",
)  # fmt: skip

PREFILTER = Prefilter([JUDGE.triggers])

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
    "Val-d'Or", "l'or", "d'or", "L'Or", "false or true", "True and false", "'''bold''' and ''italic'' in wiki",
    'When I click "Order by phone" nothing happens', 'Please click "Group by project" first.',
    "Select 'Settings' > 'Account' > 'Delete'", "sql drop table if exists", "how to drop table if exists",
    '{"or": "order by 1"}', '["and", "or", "union"]', "{'a': 'b or c'}", 'title:"or"', "tag:'x' or tag:'y'", 'a:"order by 1"',
    '{"between":" and more than "}', "2*(x=3)", "=IF(A1>5,1,2)", "if(B12>'m',1,2)", "(I like 'Queen')", "similar to 'x' or 'y'",
    "1 or 2 items similar to this", "team member of 'Foo' or 'Bar'", "1 or {some text}", "1 select item from list; 2 click", "turn off; reset master", "get it; install plugin Foo", "(the 'Smiths') returning home; they", "('Smiths') returning home #travel", 'a:"and then"',
    "5', height=3", "a.b.com and c.d.com", "or example.com",
    "call me; set role in the office", "1 or the date 'of birth'", "We overlap' or so", "step 4; change it", "4 drop it",
    '{"a":"b\' or","c":"d"}', '["or","and",null,null]', "usprivacy=1---", '","--theme-color":1', "@media screen and (min-width:1px)",
)  # fmt: skip


def test_every_case_was_tried() -> None:
    assert len(ATTACKS) == 263
    assert len(HONEST) == 130


@pytest.mark.parametrize("value", ATTACKS)
def test_finds(value: str) -> None:
    found = JUDGE.judge(value, [])
    assert found is not None
    assert found.family == "sql"
    assert found.score >= 5
    assert 0 <= found.start < found.end <= len(value)
    assert PREFILTER.hits(value), "nobody would ask"


@pytest.mark.parametrize("value", HONEST)
def test_passes(value: str) -> None:
    found = JUDGE.judge(value, [])
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
    found = JUDGE.judge(decoy + value, [])
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
    found = JUDGE.judge(value, [])
    assert found is not None
    assert (found.rule, found.score) == (rule, score)


def test_the_span_holds_the_structure() -> None:
    value = "harmless -5 union select null,null"
    found = JUDGE.judge(value, [])
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
        ("bool 't' or date'2020-02-03'", "is&is"),
        ("_utf8mb4 0x31", "1"),
        ("a ^@ 'b'", "i=s"),
        ("similar overlaps operator(", "iim"),
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
        "or{x 1}",
        "or a.b.c ",
        "or (a,b)=(",
        "=any(",
        " is distinct from ",
        " member of(",
        "' operator(a.~) ",
        "x:'",
        "x:' or ",
        ":'\\",
        "' '",
        ";set ",
        "; set global a",
        "') returning (",
        "' on conflict do ",
        " bool '",
        "1-(a=1) ",
        "' in a",
        ",a='",
    ],
)
def test_hostile_shapes_return(piece: str) -> None:
    text = piece * (8192 // len(piece))
    JUDGE.judge(text, [])
    assert len(tokens_of(text, 0).kinds) <= TOKENS_MAX + 1


def test_triggers_are_distinct() -> None:
    assert len(JUDGE.triggers) == len(set(JUDGE.triggers)) == 102
