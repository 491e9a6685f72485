"""The answers prepared in memcached: how each is built from the catalogue, kept, and read."""

import json

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count

from shop.models import Part, Product

MEDIA = "https://media.shop.example/"
FRONT = 24  # products on the front page
SIMILAR = 4


class NotPreparedError(Exception):
    """The answer is not in the cache, and the web process may not build it."""


def described(product, similar):
    """A product as the shop's pages show it: no price, no availability, which change too often to be kept."""
    return {
        "id": product.pk,
        "sku": product.sku,
        "name": product.name,
        "category": {"name": product.category.name, "slug": product.category.slug},
        "tags": sorted(tag.name for tag in product.tags.all()),
        "description": product.description,
        "pictures": [{"url": MEDIA + p.path, "title": p.title} for p in product.pictures.all()],
        "colours": sorted({v.colour for v in product.variants.all()}),
        "sizes": sorted({v.size for v in product.variants.all()}),
        "similar": similar,
    }


def catalogue():
    """Every product, described. Several queries and some work: this is what the cache saves."""
    found = Product.objects.select_related("category").prefetch_related("tags", "pictures", "variants")
    products = list(found)
    tags = {p.pk: {tag.pk for tag in p.tags.all()} for p in products}
    by_category = {}
    for product in products:
        by_category.setdefault(product.category_id, []).append(product)
    described_all = []
    for product in products:
        neighbours = (p for p in by_category[product.category_id] if p.pk != product.pk)
        alike = sorted(neighbours, key=lambda p: (-len(tags[p.pk] & tags[product.pk]), p.pk))
        described_all.append(described(product, [{"id": p.pk, "name": p.name} for p in alike[:SIMILAR]]))
    return described_all


def as_json(value):
    return json.dumps(value, separators=(",", ":")).encode()


def product_answers():
    """By cache key: the list, each product, and what the front page needs."""
    products = catalogue()
    short = [{"id": p["id"], "name": p["name"], "category": p["category"], "tags": p["tags"]} for p in products]
    popular = set(
        Product.objects.annotate(count=Count("likes")).order_by("-count", "pk").values_list("pk", flat=True)[:FRONT]
    )
    return {
        "products": as_json({"products": short}),
        "front": as_json([p for p in products if p["id"] in popular]),
        **{f"product-{p['id']}": as_json(p) for p in products},
    }


def part_answers():
    """By cache key: each part of the page."""
    answers = {}
    for part in Part.objects.prefetch_related("products__pictures"):
        shown = [{"id": p.pk, "name": p.name, "picture": MEDIA + p.pictures.all()[0].path} for p in part.products.all()]
        answers[f"part-{part.name}"] = as_json(
            {"name": part.name, "title": part.title, "text": part.text, "products": shown}
        )
    return answers


def refresh(build):
    """Builds the answers anew, keeps them, and gives them."""
    answers = build()
    cache.set_many(answers, settings.CACHE_SECONDS)
    return answers


def read(key, build):
    """The answer as JSON bytes, built here when the cache has none and BUILD_ON_MISS allows; None: no such thing.

    Nothing keeps two web processes from building at the same time, and what does not exist is looked for each time.
    """
    answer = cache.get(key)
    if answer is not None:
        return answer
    if not settings.BUILD_ON_MISS:
        raise NotPreparedError(key)
    return refresh(build).get(key)
