"""Judge of SQL injection: lexer, rules, triggers and words."""
