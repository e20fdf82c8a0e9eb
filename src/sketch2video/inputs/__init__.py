"""Reading of files that users write: text, tables, YAML, names of files; each fault is reported as one line."""
