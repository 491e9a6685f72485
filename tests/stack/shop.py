"""A small shop with forms, CSRF tokens and log-ins: `python shop.py` is a web server that prints its port.

It ends with its stdin. Given the folder of a certificate and its key, it speaks TLS. What it saw is under /stats: it
believes nothing that a browser would not have sent.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import Counter
from urllib.parse import parse_qsl

SEEN: Counter[str] = Counter()
PARAGRAPHS = "<p>Tea, coffee and what goes with them, sent the same day.</p>" * 30


class Shop(asyncio.Protocol):
    """One connection."""

    tokens = 0
    scheme = "https" if sys.argv[1:] else "http"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.came = b""

    def data_received(self, data: bytes) -> None:
        self.came += data
        while b"\r\n\r\n" in self.came:
            head, _, rest = self.came.partition(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
            length = int(fields.get("content-length", 0))
            if len(rest) < length:
                return
            self.came = rest[length:]
            method, target, _ = line.split(" ")
            cookies = dict(pair.split("=", 1) for pair in fields.get("cookie", "").split("; ") if pair)
            self.answer(method, target.partition("?")[0], cookies, fields, rest[:length].decode())

    def answer(self, method: str, path: str, cookies: dict[str, str], fields: dict[str, str], body: str) -> None:
        """One request's answer; what does not come as from a browser is refused."""
        SEEN[f"{method} {path}"] += 1
        form = dict(parse_qsl(body, keep_blank_values=True))
        name = cookies.get("session", "")
        if method == "POST":
            if not cookies.get("csrftoken") or form.get("token") != cookies["csrftoken"]:
                self.send(403, "CSRF")
            elif not fields.get("referer", "").startswith(f"{self.scheme}://{fields['host']}/"):
                self.send(403, "no Referer")
            elif path == "/cart/":
                SEEN[f"sold {form['what']} {form['qty']} {form['size']}"] += 1
                self.send(302, "", "location: /cart/", f"set-cookie: cart={form['qty']}; Path=/cart/")
            elif path == "/login/" and form["password"] == f"secret-{form['username']}":
                SEEN[f"login {form['username']}"] += 1
                cookie = f"session={form['username']}; Path=/; HttpOnly"
                self.send(302, "", "location: /account/", f"set-cookie: {cookie}")
            else:
                self.send(200, "wrong password")
        elif path == "/":
            links = "".join(f'<a class="product" href="products/{n}/">Product {n}</a>' for n in range(1, 6))
            self.send(200, f"<title>Shop</title>{links}<a id=away href=//example.com/>Away</a>{PARAGRAPHS}")
        elif path.startswith("/products/"):
            self.form(
                "/cart/",
                f"""<input type=hidden name=what value="{path.split("/")[2]}">
                <input name=qty value=1>
                <select name=size><option value=s>Small<option value=l selected>Large</select>""",
            )
        elif path == "/cart/":
            self.send(200, f"<p>Thanks &amp; goodbye: {cookies.get('cart', 'nothing')}</p>")
        elif path == "/login/":
            self.form("", "<input name=username><input type=password name=password>")
        elif path == "/account/":
            self.send(*((200, f"Hello {name}") if name else (302, "", "location: /login/?next=/account/")))
        else:
            self.oddity(path)

    def oddity(self, path: str) -> None:
        """What goes wrong."""
        if path == "/away/":
            self.send(302, "", "location: https://shop.example.com/")
        elif path == "/loop/":
            self.send(302, "", "location: /loop/")
        elif path == "/big/":
            self.send(200, "x" * 2_000_000)
        elif path == "/secure/":
            self.send(200, "ok", "set-cookie: sid=1; Secure")
        elif path == "/reset/":
            self.transport.abort()
        elif path == "/stats":
            self.send(200, json.dumps(SEEN))
        else:
            self.send(404, "nothing here")

    def form(self, action: str, fields: str) -> None:
        """A page with two forms; the second bears a new token."""
        Shop.tokens += 1
        token = f"t{Shop.tokens:032}"
        page = f"""<form id=search action=/search/><input name=q></form>{PARAGRAPHS}<form id=add method=post
            action="{action}"><input type=hidden name=token value={token}>{fields}<button>Go</button></form>"""
        self.send(200, page, f"set-cookie: csrftoken={token}; Path=/; Max-Age=3600; SameSite=Lax")

    def send(self, status: int, body: str, *fields: str) -> None:
        """An answer, kept alive."""
        lines = [f"HTTP/1.1 {status} X", "content-type: text/html; charset=utf-8", f"content-length: {len(body)}"]
        self.transport.write("\r\n".join([*lines, *fields, "", body]).encode())


async def serve() -> None:
    """Until stdin ends."""
    loop = asyncio.get_running_loop()
    over_tls = None
    if sys.argv[1:]:
        over_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        over_tls.load_cert_chain(f"{sys.argv[1]}/certificate.pem", f"{sys.argv[1]}/key.pem")
    server = await loop.create_server(Shop, "127.0.0.1", 0, backlog=1024, ssl=over_tls)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
