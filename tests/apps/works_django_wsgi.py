"""The Django project of known work as a WSGI app."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "works_django")
application = get_wsgi_application()
