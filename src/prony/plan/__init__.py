"""prony.toml and --set in, one frozen and validated Plan out."""

from prony.plan.model import App, Database, Expect, Limits, Plan, Request, Server, Traffic
from prony.plan.read import changed, read_document, read_file

__all__ = [
    "App",
    "Database",
    "Expect",
    "Limits",
    "Plan",
    "Request",
    "Server",
    "Traffic",
    "changed",
    "read_document",
    "read_file",
]
