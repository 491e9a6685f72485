import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent


def flag(name, default):
    return os.environ.get(name, default).lower() in {"1", "true", "yes", "on"}


SECRET_KEY = os.environ.get("SECRET_KEY", "insecure-key-for-development")
DEBUG = flag("DEBUG", "")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

# How long prepared answers are good for, how often the workers prepare them anew, and whether a web
# process that finds none prepares it itself or answers 503.
CACHE_SECONDS = int(os.environ.get("CACHE_SECONDS", "300"))
REFRESH_SECONDS = float(os.environ.get("REFRESH_SECONDS", "10"))
BUILD_ON_MISS = flag("BUILD_ON_MISS", "1")

INSTALLED_APPS = ["shop"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "microsite.urls"
WSGI_APPLICATION = "microsite.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
    },
]


def database(url):
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": unquote(parts.path[1:]) or ":memory:"}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
        "CONN_MAX_AGE": int(os.environ.get("CONN_MAX_AGE", "0")),
    }


def cache(url):
    if not url:
        # its own 300 entries are fewer than there are products
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}}
    return {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": url.removeprefix("memcached://").rstrip("/"),
    }


DATABASES = {"default": database(os.environ.get("DATABASE_URL", ""))}
CACHES = {"default": cache(os.environ.get("MEMCACHED_URL", ""))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = os.environ.get("BROKER_URL", REDIS_URL)
CELERY_RESULT_BACKEND = REDIS_URL
CELERY_RESULT_EXPIRES = 300
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # in memory: the default one keeps a file in the working folder
# A refresh not begun by the time of the next is dropped: a slow worker falls behind, but its queue does not grow.
CELERY_BEAT_SCHEDULE = {
    name: {"task": f"shop.tasks.{name}", "schedule": REFRESH_SECONDS, "options": {"expires": REFRESH_SECONDS}}
    for name in ("refresh_products", "refresh_parts")
}

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
