"""Words of SQL in all dialects, each with the one-letter class that the rules are written in.

A statement becomes a string of classes (`1 or id = 2` is `1&i=1`), and what an injection looks like is said in regular
expressions over that string. A word that means nothing in SQL is `i`, an identifier; a word that no column has as its name but
every sentence holds (`the`, `your`) is `e`, so that prose does not parse as a select list.

Refuses to know how a text is split into tokens, and what combination of them is an attack.
"""

from __future__ import annotations

SPELLED = "\x04"
"""The class of words that are a comparison or the type of a literal where what stands around makes them one, and a name
elsewhere."""
_CLASSES: tuple[tuple[str, str], ...] = (
    ("&", "and or xor eqv imp"),
    ("=", "like rlike regexp ilike glob match between in is isnull notnull sounds"),
    (SPELLED, "similar member overlaps operator bool boolean date timestamp interval"),
    ("+", "div mod collate escape"),
    ("!", "not binary"),
    ("a", "as"),
    ("A", "all distinct distinctrow any some top"),
    ("N", "null true false current_user current_date current_time current_timestamp localtime localtimestamp "
          "session_user system_user sysdate"),
    ("S", "select"), ("U", "union except intersect minus"), ("F", "from"), ("W", "where"),
    ("O", "order group"), ("B", "by"), ("H", "having"), ("L", "limit offset rownum"), ("I", "into"),
    ("R", "outfile dumpfile"), ("d", "drop alter create truncate rename"),
    ("t", "table database schema user view index function trigger login role column sequence tablespace tables"),
    ("P", "procedure"), ("j", "insert replace merge upsert"), ("u", "update"), ("x", "set"), ("k", "delete"),
    ("X", "exec execute"), ("y", "declare"), ("w", "waitfor"), ("z", "delay time"), ("Q", "shutdown"),
    ("C", "case"), ("h", "when"), ("g", "then"), ("l", "else"), ("E", "end"), ("b", "begin"), ("Z", "if iif"),
    ("K", "while"), ("G", "call goto print use go backup restore load copy grant revoke deny handler reconfigure "
          "attach vacuum pragma prepare deallocate dbcc bulk do"),
    ("V", "values"), ("J", "join"), ("M", "add change modify"), ("o", "dual"),
    ("D", "rollback commit savepoint lock kill reset flush desc describe explain show analyze"),
    ("e", "the an your my our their his her its this that these those of to at on for with you we they it he she me "
          "us one what which who how why there here was were be been are am will would can could should do does did "
          "have has had if so but about just more most very please de la le les el los las un une der die das und et"),
)  # fmt: skip

DANGEROUS = frozenset(
    "sleep pg_sleep pg_sleep_for pg_sleep_until benchmark randomblob zeroblob generate_series load_file extractvalue "
    "updatexml name_const xmltype load_extension writefile readfile lo_import lo_export pg_read_file pg_ls_dir "
    "query_to_xml database_to_xml dblink_connect openrowset opendatasource openquery xp_cmdshell xp_dirtree "
    "fn_varbintohexstr sp_executesql sp_oacreate sp_password sqlid_to_sqlhash get_host_address get_host_name "
    "receive_message gtid_subset gtid_subtract st_latfromgeohash st_pointfromgeohash".split()
)
"""Functions that wait, read files, start programs or speak through errors: only an attacker calls them in a value."""

FUNCTIONS = frozenset(
    "ascii ord char chr nchar unicode hex unhex concat concat_ws group_concat string_agg listagg wm_concat substring "
    "substr mid left right lpad rpad length len char_length count min max sum avg version user database schema "
    "current_user session_user system_user cast convert conv bin md5 sha sha1 sha2 password encode decode aes_encrypt "
    "aes_decrypt compress uncompress floor rand round exp pi ifnull nullif isnull coalesce nvl elt field find_in_set "
    "if iif instr locate position strcmp replace reverse upper lower ucase lcase trim quote row_count connection_id "
    "last_insert_id json_keys json_extract json_depth make_set export_set interval current_setting current_database "
    "current_schema db_name host_name object_id col_name table_name sqlite_version quotename to_char rawtohex "
    "array_agg array_to_json row_to_json xmlagg sys_context sys_eval bitand make_date log sqrt sin cos "
    "is_srvrolemember is_member has_dbaccess suser_name suser_sname user_name serverproperty column_name getdate now "
    "json_object json_array json_length json_contains json_type json_valid json_search json_value json_query openjson "
    "json_build_object jsonb_pretty starts_with unistr to_number to_base64 from_base64 oct crc32 uuid regexp_like "
    "regexp_substr regexp_instr regexp_replace translate least greatest nvl2 char_length octet_length "
    "bit_length bit_count inet_aton format space repeat stuff patindex charindex datalength sqlite_compileoption_used "
    "sqlite_compileoption_get schema_name type_name typeof likelihood likely glob pow power".split()
)

PACKAGES = ("dbms_", "utl_", "pg_", "sqlite_", "json_", "jsonb_", "lo_", "fn_", "sys_")
"""What the names of a database's own functions begin with."""

INQUIRING = frozenset(
    "version user database schema current_user session_user system_user db_name host_name schema_name user_name "
    "suser_name suser_sname current_database current_schema row_count connection_id last_insert_id sqlite_version "
    "current_setting is_srvrolemember object_id col_name getdate sysdate concat concat_ws group_concat md5 sha1 hex "
    "unhex ascii ord substring substr ifnull nullif coalesce compress uncompress make_set elt encode "
    "decode cast convert insert find_in_set benchmark lo_get pow power div unistr starts_with jsonb_pretty".split()
)
"""Functions that are a probe when a value is one call of them and nothing else."""

CATALOGUE = frozenset(
    "information_schema pg_catalog pg_shadow pg_user pg_database pg_tables sysobjects syscolumns sysusers sysdatabases "
    "sysibm syscat sysadm all_tables all_users all_tab_columns all_tab_tables dba_users dba_tables user_tables "
    "user_tab_columns user_objects v$version sqlite_master sqlite_schema msysobjects msysaces systables syslogins "
    "sysprocesses syslanguages sysservers sysxlogins dtproperties pg_class pg_namespace pg_proc pg_roles pg_authid pg_settings pg_stat_activity "
    "innodb_table_stats performance_schema rdb$relations rdb$database rdb$relation_fields sql_logins "
    "msysaccessobjects msysaccessxml msysqueries msysrelationships msysaccessstorage all_objects user_catalog".split()
)
"""What only the database itself describes its tables in."""


def _classed() -> dict[str, str]:
    words = {word: kind for kind, listed in reversed(_CLASSES) for word in listed.split()}
    words.update(dict.fromkeys(CATALOGUE, "Y"))
    return words


CLASS_OF: dict[str, str] = _classed()
"""Lower-case word to class; a word not in it is an identifier."""
