"""A plan's [proxy] table and the ports behind it in, the text of an nginx.conf out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from prony.errors import StackError
from prony.knobs.proxy import PROXY
from prony.plan import Proxy, Route

# Where answers come from the proxy itself, this header says why: a platform router's own error codes.
ERROR_HEADER = "X-Router-Error"

TEMPLATE = """\
daemon off;
{% if as_root %}
# The stack is contained, and a project's folder may be closed to every other user (a checkout below /root is).
user root;
{% endif %}
pid {{ (home / "nginx.pid") | quoted }};
lock_file {{ (home / "nginx.lock") | quoted }};
error_log stderr warn;
worker_processes {{ knobs.worker_processes }};
{% if knobs.worker_rlimit_nofile %}
worker_rlimit_nofile {{ knobs.worker_rlimit_nofile }};
{% endif %}
{% if knobs.shutdown_timeout %}
worker_shutdown_timeout {{ knobs.shutdown_timeout | ms }};
{% endif %}

events {
    worker_connections {{ knobs.worker_connections }};
    multi_accept {{ knobs.multi_accept | on }};
}

http {
{% for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi") %}
    {{ name }}_temp_path {{ (home / name) | quoted }};
{% endfor %}
    types {
{% for kind, endings in types.items() %}
        {{ kind }} {{ endings }};
{% endfor %}
    }
    default_type application/octet-stream;
    sendfile on;
    keepalive_timeout {{ knobs.keepalive_timeout | ms }};
    keepalive_requests {{ knobs.keepalive_requests }};
    client_max_body_size {{ knobs.client_max_body_size }};
{% if knobs.gzip %}
    gzip on;
    gzip_comp_level {{ knobs.gzip_comp_level }};
    gzip_types text/plain text/css text/javascript application/javascript application/json image/svg+xml;
{% endif %}
{% if knobs.open_file_cache %}
    open_file_cache max={{ knobs.open_file_cache }};
{% endif %}
{% if cached %}
    proxy_cache_path {{ (home / "cache") | quoted }} levels=1:2 keys_zone=answers:10m max_size={{ knobs.cache_size }}
        inactive=1d use_temp_path=off;
{% endif %}
{% if knobs.limit_conn %}
    limit_conn_zone $server_name zone=everyone:1m;
{% endif %}

    # One line of JSON a request; lists such as "0.000, 0.001" where more than one app server was tried.
    log_format timing escape=json '{"msec":$msec,"request_time":$request_time,"status":"$status",'
        '"method":"$request_method","uri":"$uri","bytes":$bytes_sent,"id":"$id","upstream_addr":"$upstream_addr",'
        '"upstream_status":"$upstream_status","upstream_connect_time":"$upstream_connect_time",'
        '"upstream_header_time":"$upstream_header_time","upstream_response_time":"$upstream_response_time",'
        '"upstream_cache_status":"$upstream_cache_status"}';
    access_log {{ timing_log | quoted }} timing buffer=64k flush=1s;

    map $http_x_request_id $id {
        default $request_id;
        "~^[A-Za-z0-9._-]{1,200}$" $http_x_request_id;
    }
    # Connections to the app servers are kept by a Connection header that is empty.
    map $http_upgrade $connection_header {
        default upgrade;
        "" "{{ "" if knobs.upstream_keepalive else "close" }}";
    }
{% if router %}
    map $msec $request_start {
        "~^(\\d+)\\.(\\d+)$" "$1$2";
    }
    # The last try's status, and how long its connection took to make: "-" where none was made.
    map "$upstream_status $upstream_connect_time" $router_error {
        default H11;
        "~504 (.*, )?-$" H19;
        "~502 (.*, )?-$" H21;
        "~504 " H12;
        "~502 " H13;
    }
{% else %}
    map $msec $request_start {
        default "t=$msec";
    }
{% endif %}

{% if status %}
    # Its own counters, for prony alone: outside the stack's network, and in no log.
    server {
        listen unix:{{ home / "status.sock" }};
        access_log off;
        location / {
            stub_status;
        }
    }
{% endif %}

{% for name, ports in upstreams.items() %}
    upstream {{ name }} {
        # Shared, so that nginx's processes count connections and failures together.
        zone {{ name }} 256k;
{% if balancing != "round_robin" %}
        {{ balancing }};
{% endif %}
{% for port in ports %}
        server 127.0.0.1:{{ port }} max_fails={{ knobs.max_fails }} fail_timeout={{ knobs.fail_timeout | whole }}s;
{% endfor %}
{% if knobs.upstream_keepalive or keeps %}
        keepalive {{ knobs.upstream_keepalive }};
{% endif %}
    }
{% endfor %}

    server {
        listen 127.0.0.1:{{ port }} backlog={{ knobs.backlog }};
{% if tls_port %}
        listen 127.0.0.1:{{ tls_port }} ssl backlog={{ knobs.backlog }};
        ssl_certificate {{ (home / "localhost.crt") | quoted }};
        ssl_certificate_key {{ (home / "localhost.key") | quoted }};
{% endif %}
        server_name localhost;
{% if knobs.limit_conn %}
        limit_conn everyone {{ knobs.limit_conn }};
{% endif %}

        # 1.1, or answers in chunks and upgrades could not pass.
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection $connection_header;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Port $server_port;
        proxy_set_header X-Request-Start $request_start;
        proxy_set_header X-Request-ID $id;
        proxy_connect_timeout {{ knobs.connect_timeout | ms }};
        proxy_read_timeout {{ knobs.read_timeout | ms }};
        proxy_next_upstream error timeout{{ " http_502 http_503" if knobs.retry_5xx }};
        proxy_next_upstream_tries {{ knobs.tries }};
        proxy_buffers {{ knobs.buffers }} {{ knobs.buffer_size }};
        proxy_buffer_size {{ knobs.buffer_size }};

{% for prefix, path in static.items() %}
        location {{ prefix | quoted }} {
            alias {{ path | quoted }};
        }
{% endfor %}
{% for route in routes %}
        location {{ route.path | quoted }} {
            proxy_pass http://{{ route.to }};
            proxy_buffering {{ (route.cache_s or route.buffering and knobs.buffering) | on }};
{% if route.cache_s %}
            # What is not collected cannot be cached, so a route that caches collects in any case.
            proxy_cache answers;
            proxy_cache_key $scheme://$http_host$request_uri;
            proxy_cache_valid 200 {{ route.cache_s | whole }}s;
            proxy_cache_lock on;
            proxy_cache_use_stale updating;
            add_header X-Cache-Status $upstream_cache_status always;
{% endif %}
        }
{% endfor %}
{% if router %}

        # Only what nginx itself has to say: the app's own 502, 503 and 504 pass as they are.
        error_page 502 503 504 = @router_error;
        location @router_error {
            default_type text/html;
            add_header {{ error_header }} $router_error always;
            return 503 "<!DOCTYPE html><title>Application error</title><h1>Application error</h1><p>$router_error</p>";
        }
{% endif %}
    }
}
"""
# nginx knows three endings by itself; these are what a web page is made of.
TYPES = {
    "text/html": "html htm",
    "text/css": "css",
    "text/plain": "txt",
    "text/xml": "xml",
    "text/javascript": "js mjs",
    "application/json": "json map",
    "application/pdf": "pdf",
    "application/wasm": "wasm",
    "image/avif": "avif",
    "image/gif": "gif",
    "image/jpeg": "jpg jpeg",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/webp": "webp",
    "image/x-icon": "ico",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "video/mp4": "mp4",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where one nginx listens and keeps its files.

    Attributes:
        home: Its own folder in the run's folder.
        project: The project's folder, where those of static files start.
        timing_log: The file that gets a line a request.
        port: For http, on the stack's loopback.
        tls_port: For https; 0 for none.
        as_root: Whether prony is root.
        keeps: Whether this nginx keeps connections to app servers unless told not to: since 1.29.7.
        status: Whether this nginx was built with stub_status.
    """

    home: Path
    project: Path
    timing_log: Path
    port: int
    tls_port: int = 0
    as_root: bool = False
    keeps: bool = False
    status: bool = False


def config(proxy: Proxy, upstreams: Mapping[str, list[int]], places: Places) -> str:
    """The text of an nginx.conf.

    Args:
        proxy: The plan's [proxy] table; knobs it leaves out have their defaults.
        upstreams: Each app server's ports on the stack's loopback, by its name.
        places: Where it listens and keeps its files.

    Raises:
        StackError: a route leads to an upstream that has no port.
    """
    routes = proxy.routes
    if all(route.path != "/" for route in routes) and "/" not in proxy.static:
        routes = (*routes, Route(path="/"))
    for route in routes:
        if not upstreams.get(route.to):
            raise StackError(
                f"[proxy]: the route {route.path} leads to {route.to}, and no app server of that name is up; "
                f"there are: {', '.join(upstreams) or 'none'}."
            )
    return _TEMPLATE.render(
        knobs={knob.key: knob.default for knob in PROXY} | proxy.knobs,
        balancing=proxy.balancing,
        router=proxy.preset == "platform-router",
        routes=routes,
        cached=caches(proxy),
        static={prefix: _alias(prefix, places.project / path) for prefix, path in proxy.static.items()},
        upstreams={name: ports for name, ports in upstreams.items() if ports},
        types=TYPES,
        error_header=ERROR_HEADER,
        home=places.home,
        timing_log=places.timing_log,
        port=places.port,
        tls_port=places.tls_port,
        as_root=places.as_root,
        keeps=places.keeps,
        status=places.status,
    )


def caches(proxy: Proxy) -> bool:
    """Whether any route's answers are kept."""
    return any(route.cache_s for route in proxy.routes)


def _alias(prefix: str, path: Path) -> str:
    """What stands for the prefix: nginx replaces text by text, so both end with a slash, or neither."""
    return f"{path}/" if prefix.endswith("/") else str(path)


def _quoted(value: Any) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_ENVIRONMENT = Environment(  # noqa: S701 - this is no HTML; what needs quoting is quoted
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
)
_ENVIRONMENT.filters |= {
    "quoted": _quoted,
    "on": lambda value: "on" if value else "off",
    "ms": lambda value_s: f"{round(value_s * 1000)}ms",
    "whole": lambda value_s: max(1, math.ceil(value_s)),
}
_TEMPLATE = _ENVIRONMENT.from_string(TEMPLATE)
