"""What the app was kept from reaching in, a sentence on it and the key that would allow it or stand in for it out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

SHOWN = 12
WEB = ("80", "443")
_SERVICES = {"http": "80", "https": "443", "smtp": "25", "submission": "587", "smtps": "465", "submissions": "465"}
_MAIL_PORTS = {"25", "465", "587", "2525"}
# What is behind a host, by its name: only ever a word in the text.
_MAIL = r"(^|\.)(smtp|mail|mx)\d*\.|sendgrid|mailgun|mailjet|mailchimp|mandrill|postmark|sparkpost|(^|\.)email\."
_PAYMENT = r"(^|\.)(stripe|paypal|braintreegateway|adyen|mollie|squareup|razorpay|klarna)\.|braintree-api"
_ANALYTICS = (
    r"(^|\.)(segment|sentry|mixpanel|amplitude|posthog|newrelic|nr-data|honeycomb|rollbar|bugsnag|matomo|plausible)\."
    r"|google-analytics|googletagmanager|datadog|(^|\.)(otel|otlp|statsd|jaeger)[.-]|applicationinsights"
)
_STORAGE = (
    r"(^|\.)s3[.-]|storage\.googleapis|blob\.core\.windows|digitaloceanspaces|backblazeb2|cloudinary"
    r"|r2\.cloudflarestorage|\.wasabisys\.|\.amazonaws\.com"
)
_PURPOSES = {"mail": _MAIL, "payment": _PAYMENT, "analytics or monitoring": _ANALYTICS, "storage": _STORAGE}


class Refused(NamedTuple):
    """One way out that was refused: a host (or "unix:/path"), its port, and the line of the app's code; empty: none."""

    host: str
    port: str
    where: str

    @property
    def place(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def purpose(self) -> str:
        """What such a host is for, where its name or port tells: "mail"; else the empty text."""
        if self.port in _MAIL_PORTS:
            return "mail"
        return next((what for what, names in _PURPOSES.items() if re.search(names, self.host)), "")

    @property
    def opened(self) -> str:
        """How [app] egress names it."""
        return self.host if self.port in {"", *WEB} else self.place

    @property
    def advice(self) -> str:
        """What to do about it, in words to go on with after a colon."""
        if self.host.startswith("unix:"):
            return "let prony start what listens there ([stores.NAME], [services.NAME])"
        if ":" in self.host:  # an address of IPv6 has no place in that list
            return "stand in a service of ours ([services.NAME])"
        opening = f'name it under egress ([app] egress = ["{self.opened}"])'
        if self.purpose == "mail":
            return f"{opening}, or let the app's settings send none while it is measured"
        return f"{opening}, or stand in a service of ours ([services.NAME])"

    def tried(self, times: int) -> str:
        """Such as "tried 1 240 times to reach mail.example.com:587 (mail) from shop/mail.py:12"."""
        often = "once" if times == 1 else f"{times:,} times".replace(",", " ")
        what = f" ({self.purpose})" if self.purpose else ""
        return f"tried {often} to reach {self.place}{what}" + (f" from {self.where}" if self.where else "")


def read(text: str) -> Refused:
    """A refusal as the gauge counts it: "host:port at shop/mail.py:12", with either part missing."""
    place, _, where = text.partition(" at ")
    if place.startswith("unix:"):
        return Refused(place, "", where)
    host, colon, port = place.rpartition(":")
    port = _SERVICES.get(port, port)
    if not colon or not port.isdecimal() or host.endswith(":"):
        return Refused(place, "", where)
    return Refused(host, port, where)


def told(counts: Mapping[str, int]) -> str:
    """All of them in one sentence, the most frequent first: "your app tried …; …"."""
    most = sorted(counts.items(), key=lambda each: -each[1])
    texts = [read(text).tried(times) for text, times in most[:SHOWN]]
    more = f"; and {len(most) - SHOWN} more" if len(most) > SHOWN else ""
    return f"your app {'; '.join(texts)}{more}"


def advice(counts: Mapping[str, int]) -> str:
    """What to do about the most frequent of them, in words to go on with after a colon."""
    return read(max(counts, key=lambda each: counts[each])).advice
