"""A Django project in one module: settings, one view, WSGI and ASGI."""

import time

import told
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

SECRET_KEY = "none: a test's"  # noqa: S105 - it guards nothing
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "by_django"
WSGI_APPLICATION = "by_django_wsgi.application"


def answer(request: HttpRequest) -> HttpResponse:
    while request.path == "/wait" and not told.released():
        time.sleep(0.01)
    return HttpResponse(told.answer(), content_type="text/plain")


urlpatterns = [re_path("", answer)]
