"""From a SPEC to a Document: find the file, lay `extends` and the variant over it."""
