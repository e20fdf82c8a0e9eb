"""Reading what people write: text, tables, YAML, names of files; each fault ends in one line."""
