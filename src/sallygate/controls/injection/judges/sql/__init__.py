"""Judge of SQL injection, with its lexer, rules, hints, triggers and words."""
