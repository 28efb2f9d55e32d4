"""Keyword spotting: a window network that hears a few words, always listening."""

from halfbyte.families.keyword.family import KeywordFamily

FAMILY = KeywordFamily()
