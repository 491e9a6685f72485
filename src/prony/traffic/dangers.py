"""A route, a path or a link in, why it is not to be asked for unless it is named out: what it says it does."""

from __future__ import annotations

import re
from functools import lru_cache

# Words of paths, names and links that do something, as people write them; each stands for its whole word only.
WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    logout logoff signout delete del destroy remove removed drop cancel unsubscribe reset flush purge pay payment
    payments confirm deactivate disable revoke clear trash wipe erase void refund charge kill shutdown restart
    reboot terminate ban impersonate hijack toggle approve reject decline accept publish unpublish send resend
    sync reindex rebuild migrate vote upvote downvote like unlike follow unfollow subscribe buy purchase activate
    restore truncate withdraw notify backup import upload close
    """,
    )
)
PAIRS = frozenset(
    {("log", "out"), ("log", "off"), ("sign", "out"), ("sign", "off"), ("opt", "out"), ("add", "cart"), ("to", "cart")}
)
ADMIN = re.compile(r"/(?:django-)?(?:admin|wp-admin|_?adminer|flask-admin)(?:/|$)", re.IGNORECASE)
TEXT_WORDS_MAX = 3  # a longer link is a title, and may well be about deleting
SLUG_WORDS_MAX = 3  # the same of a segment, but for the word that it begins with
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PLACEHOLDER = re.compile(r"\{\w+\}")


@lru_cache(maxsize=8192)
def danger(template: str, name: str = "", text: str = "", slug_words: int = SLUG_WORDS_MAX) -> str:
    """The word by which it may do something; empty where there is none.

    Args:
        template: The path; what stands in braces is not looked at.
        name: The route's name in its framework.
        text: What the link that led there says.
        slug_words: A segment of more words is a title: only what it begins with counts.
    """
    path, _, query = template.partition("?")
    segments = [_words(segment) for segment in _PLACEHOLDER.sub("", path).split("/")]
    groups = [words if len(words) <= slug_words else words[:2] for words in segments]
    groups += [_words(each) for each in [*re.split(r"[:.]", name), *re.split("[&=]", query)]]
    if len(_words(text)) <= TEXT_WORDS_MAX:
        groups.append(_words(text))
    for number, words in enumerate(groups):
        begins = number < len(segments) and len(segments[number]) > slug_words
        for at, (word, after) in enumerate(zip(words, [*words[1:], ""], strict=False)):
            if word in WORDS and not (begins and at):
                return word
            if (word, after) in PAIRS:
                return f"{word} {after}"
    return ""


def is_admin(path: str) -> bool:
    """Whether a path no route is known for is one of an admin's pages."""
    return ADMIN.match(path.partition("?")[0]) is not None


def _words(text: str) -> list[str]:
    return [each.lower() for each in _WORD.findall(text)]
