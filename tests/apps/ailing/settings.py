"""Settings of a shop that has every ailment a check should know."""

import os

SECRET_KEY = "none: a test's"
DEBUG = bool(os.environ.get("DEBUG"))
ALLOWED_HOSTS = os.environ.get("HOSTS", "127.0.0.1").split(",")
ROOT_URLCONF = "urls"
WSGI_APPLICATION = "wsgi.application"
INSTALLED_APPS = ["django.contrib.contenttypes", "shop"]
MIDDLEWARE = ["shop.hits.noted", "django.middleware.common.CommonMiddleware"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE_URL"][len("sqlite:///") :]}
}
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
