import itertools
import socket

from django.http import HttpResponse, HttpResponseNotFound, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from shop.models import Category, Forgotten, Product

LINKS = """
<a href="/account/">Account</a> <a href="/about">About</a> <a href="/logout/">Log out</a>
<a href="/pay/">Pay now</a>
<a href="/hook/">Hook</a> <a href="/broken/">Broken</a> <a href="/tables/">Tables</a> <a href="/manifest/">Manifest</a>
<a href="/mail/">Mail</a> <a href="/secure/">Secure</a>
<a href="/away/">Away</a> <a href="/loop/">Loop</a>
<a href="/empty/">Empty</a> <a href="/cookie/">Cookie</a> <a href="/count/">Count</a> <a href="/limit/">Limit</a>
<a href="/members/">Members</a> <a href="/data.json">Data</a> <a href="/notes/5/x/">Remove</a>
<a href="/nowhere/">Old</a> <a href="/code/">Code</a>
<a href="http://elsewhere.example/">Elsewhere</a> <a href="/django-admin/">Admin</a> <a href="/api/products/">API</a>
<a href="mailto:somebody@example.com">Mail</a> <form action="/search/"><input name="q"></form>
"""
count = itertools.count(1)


def page(title, body, **fields):
    return HttpResponse(f"<!doctype html><title>{title}</title><body><h1>{title}</h1>{body}</body>", **fields)


def home(request):
    products = "".join(
        f'<a href="/products/{each.pk}/">{each.name}</a>' for each in Product.objects.filter(draft=False)
    )
    css = '<link rel="stylesheet" href="/static/lost.css"><script src="/static/lost.js"></script>'
    return page("Shop", css + LINKS + products)


def product(request, pk):
    found = get_object_or_404(Product, pk=pk, draft=False)
    return page(f"{found.name} – Shop", f'<a href="/products/{pk}/delete/">X</a> {"tea " * (pk % 5)}')


def category(request, slug):
    found = get_object_or_404(Category, slug=slug)
    return page(f"{found.slug} – Shop", "<p>Some tea</p>")


def does(request, **named):
    return page("Done", "It was done.")


def account(request):
    return HttpResponseRedirect(f"/login/?next={request.path}")


def login(request):
    return page("Log in", '<form method="post"><input name="user"><input name="password" type="password"></form>')


def members(request):
    return login(request)


def about(request):
    return page("About", "<p>A shop.</p>")


def off(request):
    return HttpResponseNotFound()


def events(request):
    return StreamingHttpResponse(itertools.repeat(b"data: x\n\n"), content_type="text/event-stream")


def hook(request):
    return page("Forbidden", "CSRF verification failed. Request aborted.", status=403)


def broken(request):
    raise ValueError("the tea is cold")


def tables(request):
    return page("Tables", "".join(each.name for each in Forgotten.objects.all()))


def manifest(request):
    raise ValueError("Missing staticfiles manifest entry for 'shop/tea.css'")


def mail(request):
    socket.create_connection(("api.stripe.com", 443), timeout=2)
    return page("Mail", "")


def secure(request):
    return HttpResponseRedirect(f"https://{request.get_host()}/secure/")


def away(request):
    return HttpResponseRedirect("https://www.shop.example/away/")


def code(request):
    return HttpResponseRedirect("https://code.example/shop")


def loop(request):
    return HttpResponseRedirect("/loop/?again")


def empty(request):
    return page("Orders", "<p>No orders yet.</p>")


def cookie(request):
    answer = page("Cookie", "<p>Yours</p>")
    answer.set_cookie("session", "1", secure=True)
    return answer


def counted(request):
    return page("Heads" if next(count) % 2 else "Tails", "<p>Welcome</p>")


def limit(request):
    return page("Too many", "Later", status=429)


def data(request):
    return HttpResponse("<html>no data</html>", content_type="application/json")


def search(request):
    return page("Search", f"<p>Results of {len(request.GET.get('q', ''))}</p>")


def api(request):
    return JsonResponse(
        {"count": 2, "items": [{"id": 1, "url": "/api/products/1/"}, {"id": 3, "url": "/api/products/3/"}]}
    )


def api_product(request, number):
    return JsonResponse({"id": number, "name": "Tea"})


@require_POST
def order(request):
    return page("Ordered", "")
