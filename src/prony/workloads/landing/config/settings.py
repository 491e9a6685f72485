import os
from pathlib import Path
from urllib.parse import urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SECRET_KEY", "insecure-key-for-development")
DEBUG = os.environ.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

INSTALLED_APPS = ["django.contrib.staticfiles", "landing"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
    },
]
DATABASES = {}

# pymemcache is Python throughout, so gevent can switch while it waits; pylibmc is C, and holds a whole worker.
CLIENTS = {
    "pymemcache": "django.core.cache.backends.memcached.PyMemcacheCache",
    "pylibmc": "django.core.cache.backends.memcached.PyLibMCCache",
}


def cache(url):
    if not url:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    parts = urlsplit(url)
    client = os.environ.get("MEMCACHED_CLIENT", "pymemcache")
    return {"BACKEND": CLIENTS[client], "LOCATION": f"{parts.hostname}:{parts.port or 11211}"}


CACHES = {"default": cache(os.environ.get("MEMCACHED_URL", ""))}
PAGE_SECONDS = int(os.environ.get("PAGE_SECONDS", "3600"))

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # served from where they lie: nothing to collect
WHITENOISE_AUTOREFRESH = False

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    # keep the default mail_admins handler out
    "loggers": {"django": {"handlers": ["console"], "level": "WARNING", "propagate": False}},
}
