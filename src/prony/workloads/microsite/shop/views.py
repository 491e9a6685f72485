import json

from django.db.models import Count
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from shop import prepared
from shop.models import Comment, Like, Product

SHOWN = 20  # comments
KEY_MAX = 100  # memcached takes 250, with Django's own prefix


def not_prepared():
    return JsonResponse({"error": "not prepared yet"}, status=503, headers={"Retry-After": "1"})


def answer(key, build):
    try:
        found = prepared.read(key, build) if len(key) <= KEY_MAX else None
    except prepared.NotPreparedError:
        return not_prepared()
    if found is None:
        return JsonResponse({"error": "no such thing"}, status=404)
    return HttpResponse(found, content_type="application/json")


@require_safe
def index(request):
    try:
        front = json.loads(prepared.read("front", prepared.product_answers))
        names = ("teaser", "looks", "footer")
        parts = {name: json.loads(prepared.read(f"part-{name}", prepared.part_answers) or "null") for name in names}
    except prepared.NotPreparedError:
        return not_prepared()
    ids = [p["id"] for p in front]
    rows = Like.objects.filter(product__in=ids).values_list("product").annotate(Count("pk"))
    likes = dict(rows.order_by())
    for product in front:
        product["likes"] = likes.get(product["id"], 0)
    return render(request, "shop/index.html", {"products": front, **parts})


@require_safe
def products(_request):
    return answer("products", prepared.product_answers)


@require_safe
def product(_request, pk):
    return answer(f"product-{pk}", prepared.product_answers)


@require_safe
def part(_request, name):
    return answer(f"part-{name}", prepared.part_answers)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def likes(request, pk):
    if request.method == "POST":
        get_object_or_404(Product.objects.only("pk"), pk=pk)
        Like.objects.create(product_id=pk)
    count = Like.objects.filter(product=pk).count()
    return JsonResponse({"product": pk, "likes": count}, status=201 if request.method == "POST" else 200)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def comments(request, pk):
    if request.method == "POST":
        return comment(request, pk)
    found = Comment.objects.filter(product=pk).order_by("-created_at")[:SHOWN]
    rows = [{"author": c.author, "text": c.text, "at": c.created_at.isoformat()} for c in found]
    return JsonResponse({"product": pk, "comments": rows})


def comment(request, pk):
    try:
        given = json.loads(request.body) if request.content_type == "application/json" else request.POST
        author, text = str(given["author"]).strip()[:60], str(given["text"]).strip()[:500]
        (author + text).encode()  # half a character cannot be stored
    except (ValueError, KeyError, TypeError):
        author = text = ""
    if not author or not text or "\0" in author + text:
        return JsonResponse({"error": "author and text are needed"}, status=400)
    get_object_or_404(Product.objects.only("pk"), pk=pk)
    made = Comment.objects.create(product_id=pk, author=author, text=text)
    return JsonResponse({"product": pk, "author": made.author, "text": made.text}, status=201)
