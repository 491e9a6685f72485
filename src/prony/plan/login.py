"""The [login] table in, as whom requests are sent as frozen data out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from prony.errors import PlanError
from prony.plan import keys, users
from prony.plan.checks import only_known, shown, table_of, values_of, word

USERS_MAX = 1000
ALL = 0  # as many users as the app has
FILE_BYTES_MAX = 1_000_000
_PLACEHOLDER = re.compile(r"\{\{(\w{1,60})\}\}|\{(\w{1,60})\}")
_NUMBER = re.compile(r"\{(\w{1,60}):d\}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HIDDEN = "(redacted)"
Value = str | int | float | bool


class Login(Struct, frozen=True, kw_only=True):
    """How visitors come to be logged in; `keys.LOGIN` says what each field is for.

    Attributes:
        users: How many; `ALL` for as many as the app has.
        rows: One for each of them, where a file lists them: its columns, by name.
        send: Of a token's fields: "json" or "form".
        scheme: Stands before the token; empty for nothing.
    """

    kind: str
    proof: str
    proof_contains: str | None = None
    page: str = ""
    fields: dict[str, str] = {}
    form: str | None = None
    send: str = "json"
    token: str = "access_token"  # noqa: S105 - where it stands, not what it is
    header: str = "Authorization"
    scheme: str = "Bearer"
    user: str = ""
    password: str = ""
    session: dict[str, Value] = {}
    users: int = 1
    rows: tuple[dict[str, str], ...] = ()

    def filled(self, number: int, text: str) -> str:
        """A text of this table as it is for visitor `number`, from 1."""
        known = self._known(number)
        return _PLACEHOLDER.sub(lambda found: f"{{{found[1]}}}" if found[1] else known[found[2]], text)

    def filled_session(self, number: int) -> dict[str, Value]:
        """What the session of visitor `number` holds; raises ValueError where {column:d} is no number."""
        known = self._known(number)
        made: dict[str, Value] = {}
        for name, value in self.session.items():
            whole = _NUMBER.fullmatch(value) if isinstance(value, str) else None
            if whole:
                made[name] = int(known[whole[1]])
            else:
                made[name] = self.filled(number, value) if isinstance(value, str) else value
        return made

    def _known(self, number: int) -> dict[str, str]:
        return {"n": str(number), **(self.rows[number - 1] if self.rows else {})}

    def redacted(self) -> Login:
        """The same with all taken out that visitors log in with."""
        return structs.replace(
            self,
            fields=dict.fromkeys(self.fields, _HIDDEN),
            user=self.user and _HIDDEN,
            password=self.password and _HIDDEN,
            session=dict.fromkeys(self.session, _HIDDEN),
            rows=(),
        )


def read(document: Mapping[str, Any], source: str, folder: Path) -> Login | None:
    """The [login] table; None where there is none.

    Raises:
        PlanError: one paragraph on the first thing that is wrong.
    """
    if "login" not in document:
        return None
    table = table_of(document, "login", source)
    only_known(table, [*(key.name for key in keys.LOGIN), "users"], source, "login")
    if "kind" not in table and "page" not in table:
        raise PlanError(
            f"{source}: [login]: found neither kind nor page; allowed: page (where the log-in form is), or kind = "
            f"one of {', '.join(keys.LOGIN_OF_KIND)}.",
            hint='write page = "/login/", fields = { username = "…", password = "…" } and proof = "/account/"',
        )
    values = values_of(table, keys.LOGIN, source, "login")
    _check_kind(table, values, source)
    for name in ("page", "proof"):
        if values[name] is not None:
            _check_path(name, values[name], source)
    if not _HEADER.fullmatch(values["header"]) or values["header"].lower() in {"host", "cookie", "content-length"}:
        raise PlanError(
            f"{source}: [login] header: found {shown(values['header'])}; allowed: a header field that can carry a "
            'token, such as "Authorization" or "X-Auth-Token".'
        )
    if table.get("users") == "all" and values["session"]:
        raise PlanError(
            f'{source}: [login] users: found "all" beside session; allowed: "all" alone, for Django, which knows its '
            "users by itself."
        )
    users, rows = _users(table.get("users", 1), values["kind"], source, folder)
    scheme = "Bearer" if values["header"].lower() == "authorization" else ""
    login = Login(
        **{name: value for name, value in values.items() if value is not None and name not in {"scheme", "session"}},
        scheme=scheme if values["scheme"] is None else values["scheme"],
        session=dict(table.get("session", {})),  # as written: a number in a session stays one
        users=users,
        rows=rows,
    )
    _check_placeholders(login, source)
    return login


def _check_kind(table: Mapping[str, Any], values: Mapping[str, Any], source: str) -> None:
    kind = values["kind"]
    own = keys.LOGIN_OF_KIND[kind]
    for name in table:
        kinds = [each for each, names in keys.LOGIN_OF_KIND.items() if name in names]
        if kinds and kind not in kinds:
            raise PlanError(
                f'{source}: [login] {name}: found it with kind = "{kind}", which takes {", ".join(own)}; allowed with '
                f"kind = {' or '.join(kinds)}.",
                hint=f'write kind = "{kinds[0]}", or leave {name} out',
            )
    needed = {"form": ("page", "fields"), "token": ("page", "fields"), "basic": ("user", "password")}
    for name in needed.get(kind, ()):
        if not values[name]:
            key = next(key for key in keys.LOGIN if key.name == name)
            raise PlanError(f'{source}: [login] {name} is missing; {key.allowed()} is needed with kind = "{kind}".')


def _check_path(name: str, path: str, source: str) -> None:
    if not path.startswith("/") or path.startswith("//") or any(c <= " " or ord(c) > 126 for c in path):
        raise PlanError(
            f"{source}: [login] {name}: found {shown(path)}; allowed: a path that begins with / and holds no spaces or "
            "other characters that a URL must encode."
        )


def _users(found: Any, kind: str, source: str, folder: Path) -> tuple[int, tuple[dict[str, str], ...]]:
    if isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= USERS_MAX:
        return found, ()
    if found == "all" and kind == "minted":
        return ALL, ()
    if isinstance(found, str) and found.strip() and "\0" not in found and found != "all":
        what = f"{source}: [login] users: {word(found)}"
        rows = users.rows_of(folder / found, what, bytes_max=FILE_BYTES_MAX, rows_max=USERS_MAX)
        return len(rows), rows
    raise PlanError(
        f"{source}: [login] users: found {shown(found)}; allowed: a whole number from 1 to {USERS_MAX}, the name of a "
        'CSV file, or "all" with kind = "minted".'
    )


def _check_placeholders(login: Login, source: str) -> None:
    texts: dict[str, Value] = {f"fields.{name}": text for name, text in login.fields.items()}
    texts |= {"user": login.user, "password": login.password}
    texts |= {f"session.{name}": value for name, value in login.session.items()}
    known = ["n", *(login.rows[0] if login.rows else ())]
    for place, text in texts.items():
        if not isinstance(text, str):
            continue
        whole = _NUMBER.fullmatch(text) if place.startswith("session.") else None
        for name in [whole[1]] if whole else [found[2] for found in _PLACEHOLDER.finditer(text) if found[2]]:
            if name not in known:
                columns = "".join(f", {{{each}}}" for each in known[1:])
                raise PlanError(
                    f"{source}: [login] {word(place)}: found the placeholder {{{name}}}; allowed: {{n}} (the visitor's "
                    f"number){columns}{' (columns of the file)' if columns else ''}.",
                    hint=f"write {{{{{name}}}}} where the text itself is meant",
                )
        if whole and not all(re.fullmatch("[0-9]{1,15}", row.get(whole[1], "1")) for row in login.rows):
            raise PlanError(
                f"{source}: [login] {word(place)}: found {{{whole[1]}:d}}, and in that column a value that is "
                "no number."
            )
