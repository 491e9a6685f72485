"""prony.toml and --set in, one frozen and validated Plan out."""

from prony.plan.destination import Destination
from prony.plan.login import Login
from prony.plan.model import App, Box, Link, Outside, Plan, Pooler, Proxy, Route, Server, Store, Worker
from prony.plan.read import changed, read_document, read_file
from prony.plan.requests import Expect, Journey, Limits, RateSeries, Request, Traffic

__all__ = [
    "App",
    "Box",
    "Destination",
    "Expect",
    "Journey",
    "Limits",
    "Link",
    "Login",
    "Outside",
    "Plan",
    "Pooler",
    "Proxy",
    "RateSeries",
    "Request",
    "Route",
    "Server",
    "Store",
    "Traffic",
    "Worker",
    "changed",
    "read_document",
    "read_file",
]
