"""A running start in, visitors that ask for its pages one at a time out, each with cookies of its own.

Nothing here runs under load, and nothing goes anywhere but to the stack: a redirect to another host is told, and not
followed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

from prony.plan import Traffic
from prony.stack.launch import Launcher
from prony.stack.services.relay import InwardRelay

TIMEOUT_S = 30.0  # for each step, and for a whole answer
BODY_BYTES_MAX = 16 * 1024 * 1024
REDIRECTS_MAX = 5
EVENTS = "text/event-stream"  # such an answer has no end, and is not read
AGENT = "prony"  # the load's own: some apps end a session that goes on under another name


@dataclass(frozen=True, slots=True)
class Page:
    """One answer.

    Attributes:
        path: What was asked for, or where redirects led: path and query.
        status: Of the last answer; 0 where none came, and `error` says why.
        headers: Of the last answer, names in small letters; of several of a name the last; `set-cookie`, a line each.
        body: As it came, content codings undone, at most `BODY_BYTES_MAX` bytes.
        took_s: From the first request to the last byte.
        hops: Where each redirect on the way pointed, in order, also one to another host that was not followed.
    """

    path: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    took_s: float = 0.0
    hops: tuple[str, ...] = ()
    error: str = ""

    @property
    def kind(self) -> str:
        """Its media type, such as text/html; empty where it names none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """Its body as text, whatever it holds."""
        charset = self.headers.get("content-type", "").partition("charset=")[2].strip(' "') or "utf-8"
        try:
            return self.body.decode(charset, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


class Browser:
    """The way in to a running stack for as long as it is open. Use as a context manager.

    Args:
        launcher: Whose network the stack is in.
        port: The stack's entrance there: `Start.port`.
        traffic: Whose Host and header fields every request carries.
    """

    def __init__(self, launcher: Launcher, port: int, traffic: Traffic) -> None:
        self._inside = port
        self._relay = InwardRelay(launcher, port) if launcher.namespace else None
        self.port = self._relay.port if self._relay else port
        self.host = traffic.host or f"127.0.0.1:{port}"
        self._fields = {**traffic.headers, "Host": self.host}
        if "user-agent" not in {name.lower() for name in traffic.headers}:
            self._fields["User-Agent"] = AGENT
        self._visitors: list[Visitor] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def visitor(self) -> Visitor:
        """A new visitor, who knows nothing yet; closed with the browser."""
        made = Visitor(self, self._fields)
        self._visitors.append(made)
        return made

    def own(self, location: str, here: str = "/") -> str | None:
        """Path and query of a link on the page `here`; None where it leads away from the stack, or is no page."""
        try:
            parts = urlsplit(urljoin(f"http://{self.host}{here}", location.strip()))
        except ValueError:
            return None
        if parts.scheme not in {"http", "https"} or parts.netloc not in self._names:
            return None
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def _names(self) -> set[str]:
        ports = (self._inside, self.port)
        return {self.host, self.host.partition(":")[0], *(f"{host}:{p}" for host in _LOCAL for p in ports)}

    def close(self) -> None:
        """Closes every visitor and the way in; may be called twice."""
        for each in self._visitors:
            each.close()
        self._visitors.clear()
        if self._relay is not None:
            self._relay.close()


_LOCAL = ("127.0.0.1", "localhost")


class Visitor:
    """Somebody with cookies who asks for one page after the other.

    Attributes:
        fields: Header fields that each of its requests carries besides.
        cookies: Those it has been given, by name; Secure ones are kept too, and sent over http.
        secure: The names of those that a browser would send over https only.
    """

    def __init__(self, browser: Browser, fields: Mapping[str, str]) -> None:
        self.browser = browser
        self.fields = dict(fields)
        self.cookies: dict[str, str] = {}
        self.secure: set[str] = set()
        self._closed = False  # a kept connection that the server closes after an error is asked on once more
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{browser.port}",
            timeout=TIMEOUT_S,
            trust_env=False,
            follow_redirects=False,
            verify=False,  # noqa: S501 - it speaks http alone, and reading certificates for nothing takes 20 ms
        )

    def get(self, path: str, *, follow: bool = True) -> Page:
        """A page, by GET; redirects within the stack are followed unless told otherwise."""
        return self.ask("GET", path, follow=follow)

    def ask(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        json: object = None,
        fields: Mapping[str, str] | None = None,
        follow: bool = True,
    ) -> Page:
        """Any request. What goes wrong on the way is in the page's `error`, and raises nothing."""
        began_s = time.monotonic()
        hops: list[str] = []
        while True:
            page = self._once(method, path, form=form, json=json, fields=fields or {})
            if page.error and self._closed and method in {"GET", "HEAD"}:
                page = self._once(method, path, form=form, json=json, fields=fields or {})
            location = page.headers.get("location")
            if location is None or not 300 <= page.status < 400 or not follow:
                break
            hops.append(location)
            onward = self.browser.own(location, path)
            if onward is None or len(hops) > REDIRECTS_MAX:
                break
            method, path, form, json = "GET" if page.status < 307 and method != "HEAD" else method, onward, None, None
        took_s = time.monotonic() - began_s
        return Page(path, page.status, page.headers, page.body, took_s, tuple(hops), page.error)

    def _once(
        self, method: str, path: str, *, form: Mapping[str, str] | None, json: object, fields: Mapping[str, str]
    ) -> Page:
        sent = {**self.fields, **fields}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {"data": dict(form)} if form is not None else {"json": json} if json is not None else {}
        body = bytearray()
        ends_s = time.monotonic() + TIMEOUT_S
        try:
            with self._client.stream(method, path, headers=sent, **given) as answer:
                events = answer.headers.get("content-type", "").startswith(EVENTS)
                for piece in () if events else answer.iter_bytes():
                    body += piece
                    if time.monotonic() > ends_s:
                        return Page(path, 0, error=f"it still went on after {TIMEOUT_S:.0f} s")
                    if len(body) >= BODY_BYTES_MAX:
                        break
                self._client.cookies.clear()  # ours are kept by the lines below: httpx holds back Secure ones
                self._keep(answer.headers.get_list("set-cookie"))
                headers = {name.lower(): value for name, value in answer.headers.items()}
                if "set-cookie" in headers:
                    headers["set-cookie"] = "\n".join(answer.headers.get_list("set-cookie"))
                return Page(path, answer.status_code, headers, bytes(body[:BODY_BYTES_MAX]))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._closed = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
            return Page(path, 0, error=str(error) or type(error).__name__)

    def _keep(self, lines: list[str]) -> None:
        for line in lines:
            pair, _, attributes = line.partition(";")
            name, equals, value = pair.partition("=")
            if not equals:
                continue
            name, value = name.strip(), value.strip()
            gone = "max-age=0" in line.lower() or "01 jan 1970" in line.lower().replace("-", " ")
            if gone:
                self.cookies.pop(name, None)
                continue
            self.cookies[name] = value
            if "secure" in {each.strip().lower() for each in attributes.split(";")}:
                self.secure.add(name)

    def close(self) -> None:
        """Lets go of its connections; its cookies stay."""
        self._client.close()
