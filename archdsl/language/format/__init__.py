"""Specs written anew: in short form, in long form, in their own layout."""
