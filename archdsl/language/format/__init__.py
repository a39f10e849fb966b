"""Rewrites specs: `format` in the canonical short form, `expand` in the long form; comments are kept."""
