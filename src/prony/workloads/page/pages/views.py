from django.http import HttpResponseBadRequest
from django.shortcuts import render

from pages.models import Page


def random_page(request):
    page = Page.objects.order_by("?").first()
    if page is None:
        return HttpResponseBadRequest("There is no page yet: run manage.py seed_data")
    return render(request, "pages/page.html", {"page": page})
