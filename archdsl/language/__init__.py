"""The spec language: short and long form, expressions, the document, its JSON Schema and its formatters."""
