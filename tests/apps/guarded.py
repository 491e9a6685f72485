"""A site with three ways in: a form, a token, and the browser's own question; and a page that everybody may see."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.parse
from collections.abc import Callable
from typing import Any

PEOPLE = {f"user{number}": f"secret-{number}" for number in range(1, 9)}
FORM = """<form method="post"><input type="hidden" name="csrf" value="c-1">{}
<input name="user"><input name="pass" type="password"><button name="go" value="in">Enter</button></form>"""
CSRF = {"Set-Cookie": "csrf=c-1; Path=/; Secure"}
seen: set[str] = set()
Answer = tuple[str, dict[str, str], str]


def token_of(user: str) -> str:
    return hashlib.sha256(f"{user} at the gate".encode()).hexdigest()[:20]


def whose(token: str) -> str | None:
    return next((user for user in PEOPLE if token_of(user) == token), None)


def enter(environ: dict[str, Any]) -> Answer:
    if environ["REQUEST_METHOD"] == "GET":
        return "200 OK", CSRF, FORM.format("")
    sent = dict(urllib.parse.parse_qsl(environ["body"].decode()))
    if sent.get("csrf") != environ["cookies"].get("csrf") or sent.get("go") != "in":
        return "403 Forbidden", {}, "CSRF token missing or wrong"
    if PEOPLE.get(sent["user"]) != sent["pass"]:
        return "200 OK", CSRF, FORM.format('<p class="error">Nobody of that name has that password.</p>')
    cookie = f"session={token_of(sent['user'])}; Path=/; HttpOnly"
    return "302 Found", {"Location": "/inside", "Set-Cookie": cookie}, ""


def inside(environ: dict[str, Any]) -> Answer:
    user = whose(environ["cookies"].get("session", ""))
    if user is None:
        return "302 Found", {"Location": "/enter?next=/inside"}, ""
    seen.add(user)
    return "200 OK", {}, f"<h1>Inside: {user}</h1>"


def token(environ: dict[str, Any]) -> Answer:
    sent = json.loads(environ["body"])
    if PEOPLE.get(sent["user"]) != sent["pass"]:
        return "401 Unauthorized", JSON, '{"detail": "no"}'
    return "200 OK", JSON, json.dumps({"data": {"access": token_of(sent["user"])}})


def api(environ: dict[str, Any]) -> Answer:
    user = whose(environ.get("HTTP_AUTHORIZATION", "").partition("Bearer ")[2])
    return "401 Unauthorized" if user is None else "200 OK", JSON, json.dumps({"user": user})


def staff(environ: dict[str, Any]) -> Answer:
    user = whose(environ["cookies"].get("session", ""))
    return "200 OK" if user == "user1" else "403 Forbidden", {}, "<h1>Staff</h1>"


def basic(environ: dict[str, Any]) -> Answer:
    given = base64.b64decode(environ.get("HTTP_AUTHORIZATION", "").partition("Basic ")[2]).decode()
    user, _, password = given.partition(":")
    known = bool(password) and PEOPLE.get(user) == password
    return "200 OK" if known else "401 Unauthorized", {"WWW-Authenticate": "Basic"}, "basic"


JSON = {"Content-Type": "application/json"}
PAGES: dict[str, Callable[[dict[str, Any]], Answer]] = {
    "/enter": enter,
    "/inside": inside,
    "/token": token,
    "/api": api,
    "/basic": basic,
    "/staff": staff,
    "/menu": lambda _: ("200 OK", {}, '<a href="/inside">Inside</a> <a href="/staff">Staff</a>'),
    "/seen": lambda _: ("200 OK", JSON, json.dumps(sorted(seen))),
}


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    environ["cookies"] = dict(pair.partition("=")[::2] for pair in environ.get("HTTP_COOKIE", "").split("; "))
    environ["body"] = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    page = PAGES.get(environ["PATH_INFO"], lambda _: ("200 OK", {}, '<title>Everybody</title><a href="/menu">Menu</a>'))
    status, fields, text = page(environ)
    start_response(status, list(({"Content-Type": "text/html"} | fields).items()))
    return [text.encode()]
