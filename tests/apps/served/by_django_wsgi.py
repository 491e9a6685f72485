"""The Django project as a WSGI app."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "by_django")
application = get_wsgi_application()
