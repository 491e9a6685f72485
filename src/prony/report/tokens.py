"""A token of a closed set in, how a page shows it out: in words, with what it means, and a sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Tokens that do not read well with a space for their underscore.
TIER_WORDS = {"none": "nothing gave out", "unknown": "cannot tell", "generator": "load generator"}
CAUSE_WORDS = {
    "none": "nothing to blame",
    "unknown": "cannot tell",
    "app_cpu": "app’s own CPU use",
    "connections_exhausted": "out of connections",
    "connection_per_request": "a connection per request",
}
GRADE_WORDS = {"unknown": "not established"}
GRADE_SIGNS = {"proven": "●", "consistent": "◐", "tied": "=", "unknown": "○"}


@dataclass(frozen=True, slots=True)
class Word:
    """A token of a closed set, as it is shown: in words, and with what it means."""

    token: str
    text: str
    means: str
    sign: str = ""


def word(
    texts: Mapping[str, str], token: str, words: Mapping[str, str], signs: Mapping[str, str] | None = None
) -> Word:
    """A token of a closed set in words; one that is not of the set is shown as it is."""
    text = words.get(token, token.replace("_", " "))
    return Word(token, text, texts.get(token, ""), (signs or {}).get(token, ""))
