"""The Django project as an ASGI app."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "by_django")
application = get_asgi_application()
