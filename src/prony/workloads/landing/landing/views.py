from django.conf import settings
from django.core.cache import cache
from django.http import HttpResponse
from django.template.loader import render_to_string

from landing import content

KEY = "landing-page"


def page(request):  # noqa: ARG001
    html = cache.get(KEY)
    if html is None:
        html = build()
        cache.set(KEY, html, settings.PAGE_SECONDS)
    return HttpResponse(html)


def build():
    return render_to_string(
        "landing/page.html",
        {
            "features": content.FEATURES,
            "quotes": content.QUOTES,
            "questions": content.QUESTIONS,
            "plans": content.PLANS,
            "news": content.NEWS,
            "pictures": range(1, 7),
        },
    )
