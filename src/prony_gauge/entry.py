"""Turns the user's entry, named by PRONY_GAUGE_ENTRY, into the `application` that a server loads in its place.

Importing this module imports the entry at once, so that what is wrong with it surfaces as it would without prony.
PRONY_GAUGE_INTERFACE says what the server will call (wsgi, asgi or aiohttp); unset, the app's own kind is served.
"""

import os
import sys

from prony_gauge import aiohttp_app, asgi, uwsgi_workers, wsgi
from prony_gauge.mapped import GAUGE, follow_forks
from prony_gauge.target import check_interface, resolve

WAYS = {"wsgi": wsgi.measured, "asgi": asgi.measured, "aiohttp": aiohttp_app.measured}

application = resolve(os.environ.get("PRONY_GAUGE_ENTRY", ""))
if GAUGE.folder:
    interface = check_interface(application, os.environ.get("PRONY_GAUGE_INTERFACE", ""))
    follow_forks()
    uwsgi = sys.modules.get("uwsgi")
    if hasattr(uwsgi, "worker_id"):
        uwsgi_workers.serving(uwsgi)
    else:
        GAUGE.serving()
    application = WAYS[interface](application)
