from django.contrib.auth.decorators import login_required
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from .models import Category, Product


def home(request):
    return render(request, "catalog/home.html", {"categories": Category.objects.all()})


def category(request, slug):
    found = get_object_or_404(Category, slug=slug)
    return render(request, "catalog/category.html", {"category": found, "products": found.products.all()})


def product(request, slug):
    return render(request, "catalog/product.html", {"product": get_object_or_404(Product, slug=slug)})


def search(request):
    term = request.GET.get("q", "")
    found = Product.objects.filter(name__icontains=term).select_related("category")[:50]
    return render(request, "catalog/search.html", {"term": term, "products": found})


@require_POST
def add_to_basket(request, slug):
    basket = request.session.setdefault("basket", [])
    basket.append(slug)
    request.session.modified = True
    return JsonResponse({"items": len(basket)})


@login_required
def account(request):
    return render(request, "catalog/account.html")


def healthz(request):
    return JsonResponse({"products": Product.objects.count()})
