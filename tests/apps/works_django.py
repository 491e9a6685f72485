"""The same known work as a Django project in one module: settings, a clock around all views, and a route for each."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import path
from works import work

SECRET_KEY = "none: a test's"  # noqa: S105 - it guards nothing
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "works_django"
WSGI_APPLICATION = "works_django_wsgi.application"
MIDDLEWARE = ["works_django.timed"]


def timed(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Tells the CPU time of the whole call, where a view has no clock of its own."""

    def timing(request: HttpRequest) -> HttpResponse:
        began = time.thread_time()
        response = get_response(request)
        response.setdefault("X-Took", str(time.thread_time() - began))
        return response

    return timing


def view(request: HttpRequest, number: int) -> HttpResponse:
    took = work(request.path.split("/")[1], number)
    return HttpResponse(b"x" * 100, headers={"X-Took": str(took)} if took else {})


urlpatterns = [path(f"{what}/<int:number>", view) for what in ("sql", "cpu", "call", "pool")]
