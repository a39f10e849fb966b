"""Random networks and what they are held against.

`make` draws specs in the language's long form, `text` writes them as a person would, `reference` runs the same data
straight in torch without any code of archdsl, `check` compares everything archdsl makes of the text with that,
`shrink` makes a failing spec small, `wrong` breaks a sound one.
"""
