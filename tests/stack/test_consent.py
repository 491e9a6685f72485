"""Load on hosts that are not loopback, in a network namespace that has them: refused without consent, sent with it."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prony.alone.consent import PATH, token_of, txt_records
from tests.stack.consent_case import HOST, OTHER, PORT, Case, Told, run

NAME = "staging.example.com"
LOAD = ["--rate", "20", "--duration", "1s", "--json"]


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def told(case: Case, folder: Path) -> Told:
    found = run(case, folder)
    if found is None:
        pytest.skip("no network namespace can be made here")
    return found


def asked_once(host: str, *paths: str, address: str = HOST) -> dict[str, int]:
    return {f"{address}{path} as {host}:{PORT}": 1 for path in paths}


def url(host: str) -> str:
    return f"http://{host}:{PORT}/"


def answers(*pages: tuple[str, int, dict[str, str], str]) -> dict[str, tuple[int, dict[str, str], str]]:
    return {path: (status, fields, body) for path, status, fields, body in pages}


@pytest.mark.parametrize(
    "page",
    [
        (PATH, 200, {}, "hello\n"),
        (PATH, 200, {}, "OTHERS\n"),
        (PATH, 302, {"Location": f"http://{OTHER}:{PORT}/token"}, "TOKEN"),
        (PATH, 301, {"Location": "/token", "Prony-Consent": "TOKEN"}, ""),
        ("/", 307, {"Location": "/token", "Prony-Consent": "TOKEN"}, ""),
        ("/", 200, {}, "TOKEN"),
    ],
    ids=["no token", "another's", "on a redirect", "in a redirect's field", "in the page's redirect", "in a page"],
)
def test_a_host_that_has_not_consented_is_refused_before_any_load(
    page: tuple[str, int, dict[str, str], str], tmp_path: Path
) -> None:
    path, status, fields, body = page

    def filled(text: str) -> str:
        return text.replace("TOKEN", token_of(HOST)).replace("OTHERS", token_of(OTHER))

    given = answers(
        (path, status, {name: filled(value) for name, value in fields.items()}, filled(body)),
        ("/token", 200, {"Prony-Consent": token_of(HOST)}, token_of(HOST)),
    )
    found = told(Case(["run", "--url", url(HOST), *LOAD, "--no-namespace"], given), tmp_path)
    assert (found.code, found.out) == (2, "")
    assert "has not consented to be loaded" in found.err
    assert f"Try: prony doctor --consent {HOST}" in found.err
    assert found.asked == asked_once(HOST, PATH, "/")


@pytest.mark.parametrize("way", ["well-known", "header"])
def test_a_host_that_has_consented_is_loaded_at_the_address_that_was_asked(way: str, tmp_path: Path) -> None:
    token = token_of(NAME)
    page = (PATH, 200, {}, f"{token}\n") if way == "well-known" else ("/", 200, {"Prony-Consent": token}, "hello\n")
    case = Case(
        ["run", "--url", url(NAME), *LOAD],
        answers(page),
        hosts=f"{HOST} {NAME}\n127.0.0.1 localhost\n",
        hosts_then=f"{OTHER} {NAME}\n127.0.0.1 localhost\n",  # the name moves as soon as the proof is asked for
    )
    found = told(case, tmp_path)
    assert found.code in {0, 1, 4}, found.err  # a busy machine may break limits, or belief
    [trial] = found.document["trials"]
    assert trial["errors"]["by_status"] == {"200": trial["requests"]}
    assert trial["requests"] > 5
    where = trial["plan"]["destination"]
    assert (where["host"], where["address"], where["consent"]) == (NAME, HOST, way)
    asked = found.asked.pop(f"{HOST}/ as {NAME}:{PORT}")
    looks = 2 if way == "well-known" else 3  # as the page of the proof, before the load, and after it
    assert asked == trial["requests"] + looks
    assert found.asked == asked_once(NAME, PATH)
    assert trial["tiers"]["app"]["cpu_share"] is None
    assert trial["tiers"]["host"]["cores"] is None
    assert "not_watched" in trial["doubts"]
    assert "all load goes to that address" in found.err


def test_the_consent_of_one_name_is_none_for_another_at_the_same_address(tmp_path: Path) -> None:
    found = told(
        Case(
            ["run", "--url", url("other.example.com"), *LOAD],
            answers((PATH, 200, {}, token_of(NAME))),
            hosts=f"{HOST} {NAME} other.example.com\n",
        ),
        tmp_path,
    )
    assert found.code == 2
    assert "another token" in found.err
    assert found.asked == asked_once("other.example.com", PATH, "/")


def test_a_name_that_is_this_machine_and_another_is_refused_without_a_word_to_either(tmp_path: Path) -> None:
    found = told(
        Case(
            ["run", "--url", url(NAME), *LOAD],
            answers((PATH, 200, {}, token_of(NAME))),
            hosts=f"127.0.0.1 {NAME}\n{HOST} {NAME}\n",
        ),
        tmp_path,
    )
    assert found.code == 2
    assert "loopback by every answer, or by none" in found.err
    assert found.asked == {}


def test_another_host_field_than_the_one_that_consents_is_refused(tmp_path: Path) -> None:
    given = answers((PATH, 200, {}, token_of(HOST)))
    found = told(Case(["run", "--url", url(HOST), "-H", "Host: shop.example.com", *LOAD], given), tmp_path)
    assert found.code == 2
    assert "--header: found the Host shop.example.com" in found.err
    assert found.asked == {}


# ---- the DNS record, asked of a name server of ours on loopback


class _Names(socketserver.BaseRequestHandler):
    """Answers a TXT query for names below `known.example` with one record in two strings; knows no other name."""

    def handle(self) -> None:
        data, sock = self.request
        question = data[12:]
        end = question.index(b"\0") + 5
        known = b"\x05known\x07example\0" in question
        record = b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x0e" + b"\x06prony-" + b"\x060123ab"
        flags = b"\x81\x80" if known else b"\x81\x83"
        head = data[:2] + flags + b"\0\x01" + (b"\0\x01" if known else b"\0\0") + b"\0\0\0\0"
        sock.sendto(head + question[:end] + (record if known else b""), self.client_address)


@pytest.fixture
def names() -> Iterator[int]:
    with socketserver.UDPServer(("127.0.0.1", 0), _Names) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_record_of_a_name_is_read_and_a_name_without_one_has_none(names: int) -> None:
    pytest.importorskip("dns", reason="dnspython is an extra")
    assert list(txt_records("_prony-consent.known.example", ["127.0.0.1"], names)) == ["prony-0123ab"]
    assert list(txt_records("_prony-consent.other.example", ["127.0.0.1"], names)) == []


def test_a_name_server_that_cannot_be_reached_is_an_error_and_no_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dns", reason="dnspython is an extra")
    monkeypatch.setattr("prony.alone.consent.LOOK_UP_S", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match=r"lifetime|timed out"):
            txt_records("_prony-consent.known.example", ["127.0.0.1"], nobody.getsockname()[1])


def test_without_dnspython_the_record_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    absent: Any = None  # which Python takes for a module that is not there
    monkeypatch.setitem(sys.modules, "dns.resolver", absent)
    with pytest.raises(OSError, match=r"pip install 'prony\[dns\]'"):
        txt_records("_prony-consent.known.example")


def test_two_hosts_are_compared_only_if_both_have_consented(tmp_path: Path) -> None:
    case = Case(
        ["compare", url(HOST), url(OTHER), "--rate", "20", "--trial", "1s"], answers((PATH, 200, {}, token_of(HOST)))
    )
    found = told(case, tmp_path)
    assert (found.code, found.out) == (2, "")
    assert f"{OTHER} ({OTHER}:{PORT}) is not loopback and has not consented" in " ".join(found.err.split())
    looks = asked_once(HOST, "/", address=HOST) | asked_once(OTHER, "/", address=OTHER)
    assert found.asked == asked_once(HOST, PATH) | asked_once(OTHER, PATH, address=OTHER) | looks
