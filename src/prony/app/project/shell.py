"""A line as a shell would read it in, its simple commands out: variables put in, wrappers and redirections aside."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

LINE_MAX = 4000
UNSET = "\N{REPLACEMENT CHARACTER}"  # stands for a value that only a running shell knows
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?:(:?[-=?+])([^{}]*))?\}|\$([A-Za-z_]\w*)|\$\([^()]*\)|`[^`]*`|\$[@*#?0-9]")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
_ENDS = {"&&", "||", ";", "|", "&", ";;", "(", ")", "|&"}
_SHELLS = {"sh", "bash", "ash", "dash", "zsh"}
DEPTH_MAX = 4


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command.

    Attributes:
        words: Program and arguments.
        env: Variables set for it, before it or by `export`.
        folder: Where it runs, as `cd` said; empty for where the line does.
    """

    words: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    folder: str = ""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """A text with its $VARIABLES put in: what is set, else the default that stands there, else UNSET."""

    def value(match: re.Match[str]) -> str:
        name, how, default = match[1] or match[4], match[2] or "", match[3] or ""
        if not name:
            return "" if match[0] in {"$@", "$*"} else UNSET
        if how.endswith("+"):
            return default if name in variables else ""
        if variables.get(name):
            return variables[name]
        return default if how.endswith(("-", "=")) else UNSET

    for _ in range(DEPTH_MAX):  # a default may hold another variable
        new = _VARIABLE.sub(value, text)
        if new == text:
            break
        text = new[:LINE_MAX]
    return text


def commands(text: str, variables: Mapping[str, str] = {}, depth: int = 0) -> list[Command]:
    """The simple commands of a line; none where no shell could read it."""
    try:
        lexer = shlex.shlex(expand(text[:LINE_MAX], variables), posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = list(lexer)
    except ValueError:
        return []
    found: list[Command] = []
    folder = ""
    exported: dict[str, str] = {}
    for group in _groups(words):
        env: dict[str, str] = {}
        while group and _ASSIGNED.match(group[0]):
            name, _, value = group.pop(0).partition("=")
            env[name] = value
        if not group:
            exported |= env
            continue
        if group[0] in {"export", "ENV"}:
            exported |= dict(part.split("=", 1) for part in group[1:] if "=" in part)
        elif group[0] == "cd" and len(group) > 1:
            folder = group[1]
        else:
            found += _nested(Command(tuple(group), exported | env, folder), variables, depth)
    return found


def _groups(words: list[str]) -> list[list[str]]:
    """Words divided at &&, ; and the like; redirections are left out."""
    groups: list[list[str]] = [[]]
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in _ENDS:
            groups.append([])
        elif word and not word.strip("<>&"):
            skip = True
            if groups[-1] and groups[-1][-1] in {"1", "2"}:
                groups[-1].pop()
        else:
            groups[-1].append(word)
    return [group for group in groups if group]


def _nested(command: Command, variables: Mapping[str, str], depth: int) -> list[Command]:
    """What `sh -c "…"` runs, instead of the shell; `exec` and `env` are passed over."""
    words = list(command.words)
    env = dict(command.env)
    while words and (words[0] in {"exec", "env", "nohup", "then", "do", "else", "time"} or _ASSIGNED.match(words[0])):
        word = words.pop(0)
        if "=" in word:
            env[word.partition("=")[0]] = word.partition("=")[2]
    if not words:
        return []
    if words[0].rpartition("/")[2] in _SHELLS and depth < DEPTH_MAX:
        for at, word in enumerate(words[1:-1], 1):
            if word.startswith("-") and word.endswith("c"):
                return [
                    Command(each.words, env | each.env, each.folder or command.folder)
                    for each in commands(words[at + 1], variables, depth + 1)
                ]
    return [Command(tuple(words), env, command.folder)]
