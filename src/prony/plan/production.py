"""The URL of a user's own store in, why it looks as if it served people out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

from prony.plan.addresses import address_of
from prony.plan.model import Store

_SERVING = {"prod", "production", "prd", "live"}
_SERVING_HOSTS = {"primary", "master"}
_TRYING = {
    *("staging", "stage", "stg", "test", "testing", "dev", "development", "qa", "uat", "sandbox", "preprod", "nonprod")
}
_HOSTED = re.compile(
    r"\.(rds|cache|compute)[a-z0-9.-]*\.amazonaws\.com|\.compute-1\.amazonaws\.com|\.database\.azure\.com|"
    r"\.database\.windows\.net|\.redis\.cache\.windows\.net|\.db\.ondigitalocean\.com|\.neon\.tech|\.supabase\.(com?|net)|"
    r"\.render\.com|\.aivencloud\.com|\.psdb\.cloud|\.rlwy\.net|\.railway\.app|\.upstash\.io|\.mongodb\.net|"
    r"\.elephantsql\.com|\.redis(-cloud|labs)\.com|\.cockroachlabs\.cloud|\.timescale\.com|\.crunchybridge\.com"
)


def why_production(url: str) -> str:
    """Why a store's URL looks like production, as the end of a sentence; the empty text where it does not."""
    found = address_of(url)
    host, name = found.host.lower().rstrip("."), found.name.lower()
    if _words(host) & _TRYING or _words(name) & _TRYING:
        return ""
    for what, text, signs in (("host", host, _SERVING | _SERVING_HOSTS), ("database", name, _SERVING)):
        told = sorted(_words(text) & signs)
        if told:
            return f'its {what} {text} has "{told[0]}" in its name'
    if _HOSTED.search(f".{host}"):
        return f"its host {host} is a provider's"
    try:
        public = ipaddress.ip_address(host).is_global
    except ValueError:
        public = False
    return f"its host {host} is a public address" if public else ""


def warnings(stores: Mapping[str, Store]) -> Iterable[str]:
    """What to say, before anything is started, of each store of the user's own that looks like production."""
    for name, store in stores.items():
        why = why_production(store.url) if store.url else ""
        if why:
            instead = (
                'kind = "postgres" and dump = "FILE of pg_dump"' if name == "database" else "a kind of prony's own"
            )
            yield (
                f"WARNING: [stores.{name}] url looks like production: {why}. prony neither wipes nor prepares it, but "
                "your app reads and writes there as it serves the load. If people use it, stop now (Ctrl-C) and let "
                f"prony start one: {instead} under [stores.{name}]."
            )


def _words(text: str) -> set[str]:
    return {word.rstrip("0123456789") for word in re.split(r"[^a-z0-9]+", text)}
