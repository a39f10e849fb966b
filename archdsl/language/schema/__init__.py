"""The JSON Schema of the language, and the models that check its keys."""
