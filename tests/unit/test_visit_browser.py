from __future__ import annotations

import itertools
from functools import partial
from types import SimpleNamespace
from typing import cast

import httpx
import pytest

from prony.plan import Traffic
from prony.stack.launch import Launcher
from prony.visit import browser
from prony.visit.browser import Browser, Page


def asked(monkeypatch: pytest.MonkeyPatch, kind: str) -> Page:
    """What comes of a page that has no end, of a media type."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, content=itertools.repeat(b"data: x\n\n"))

    monkeypatch.setattr(httpx, "Client", partial(httpx.Client, transport=httpx.MockTransport(answer)))
    outside = cast("Launcher", SimpleNamespace(namespace=False))
    with Browser(outside, 8000, Traffic()) as opened:
        return opened.visitor().get("/live")


def test_a_stream_of_events_is_known_by_its_type_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    page = asked(monkeypatch, "text/event-stream; charset=utf-8")
    assert (page.status, page.kind, page.body, page.error) == (200, "text/event-stream", b"", "")


def test_an_answer_that_goes_on_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "TIMEOUT_S", 0.001)
    page = asked(monkeypatch, "text/html")
    assert page.status == 0
    assert "still went on" in page.error
