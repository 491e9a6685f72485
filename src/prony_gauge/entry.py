"""Turns the user's entry, named by PRONY_GAUGE_ENTRY, into the `application` that a server loads in its place.

Importing this module imports the entry at once, so that what is wrong with it surfaces as it would without prony.
"""

import os

from prony_gauge.mapped import GAUGE, follow_forks
from prony_gauge.target import refuse_asgi, resolve
from prony_gauge.wsgi import measured

application = resolve(os.environ.get("PRONY_GAUGE_ENTRY", ""))
if GAUGE.folder:
    refuse_asgi(application)
    follow_forks()
    GAUGE.serving()
    application = measured(application)
