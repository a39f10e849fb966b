"""From a SPEC to a Document: find the file, resolve `extends`, apply the variant."""
