"""A Django app's settings in, what requests must bear to be answered out: Host and scheme; and what is to be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.app.project.model import Fact, Project, Unknown
from prony.app.project.trials import Tried

ANSWERED = "127.0.0.1"  # what requests name as their Host unless told otherwise


def apply(project: Project, tried: Tried) -> None:
    """Writes into the project what its settings ask of requests."""
    django = tried.outcome.found.get("django")
    if not django:
        return
    reads = {each["name"] for each in tried.outcome.reads}
    _host(project, django, reads)
    _https(project, django, reads)
    if django.get("DEBUG"):
        name = next((n for n in sorted(reads, key=len) if n.upper().endswith("DEBUG")), "")
        if name:
            todo = f'{name} = "false", to measure it as it is served to visitors'
        else:
            todo = "settings of its own for the bench: DJANGO_SETTINGS_MODULE"
        project.unknown.append(Unknown("whether DEBUG is meant to be on (it is)", f"[app] env {name}".strip(), todo))


def _host(project: Project, django: Mapping[str, Any], reads: set[str]) -> None:
    hosts = [str(host).strip() for host in django.get("ALLOWED_HOSTS") or [] if str(host).strip()]
    if "*" in hosts or ANSWERED in hosts or (django.get("DEBUG") and not hosts):
        return
    named = [host.removeprefix(".") for host in hosts if host not in {"testserver", "[::1]"} and "{" not in host]
    name = next((n for n in sorted(reads) if "ALLOWED_HOST" in n.upper()), "")
    if name and not named:
        project.env[name] = Fact(ANSWERED, "invented: the settings' ALLOWED_HOSTS is empty without it")
    elif named:
        host = "localhost" if "localhost" in named else named[0]
        project.host = Fact(host, f"the settings' ALLOWED_HOSTS does not have {ANSWERED}")
    else:
        project.unknown.append(
            Unknown("which Host the app answers to", "[traffic] host", "one that ALLOWED_HOSTS has, which is empty")
        )


def _https(project: Project, django: Mapping[str, Any], reads: set[str]) -> None:
    header = django.get("SECURE_PROXY_SSL_HEADER")
    if isinstance(header, list) and len(header) == 2:
        name = "-".join(part.capitalize() for part in str(header[0]).removeprefix("HTTP_").split("_"))
        project.headers = Fact(
            {name: str(header[1])}, "the settings' SECURE_PROXY_SSL_HEADER: as behind an https proxy"
        )
    elif django.get("SECURE_SSL_REDIRECT"):
        name = next((n for n in sorted(reads) if "SSL_REDIRECT" in n.upper()), "")
        if name:
            project.env[name] = Fact(
                "false", "invented: else every page redirects to https, which prony does not speak"
            )
        else:
            project.unknown.append(
                Unknown("how to be answered over http: SECURE_SSL_REDIRECT is on", "[app] env", "what turns it off")
            )
