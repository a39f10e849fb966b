"""The language: short strings to long mappings, expressions, the document, its schema and its printers."""
