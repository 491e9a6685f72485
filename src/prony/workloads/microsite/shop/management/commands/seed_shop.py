import os
import random
from decimal import Decimal

from django.core.management.base import BaseCommand
from django.db import transaction

from shop.models import Category, Comment, Like, Part, Picture, Product, Tag, Variant

KINDS = ["Lamp", "Chair", "Table", "Rug", "Vase", "Clock", "Stool", "Basket", "Mirror", "Blanket"]
LOOKS = ["Plain", "Striped", "Round", "Tall", "Small", "Folding", "Painted", "Woven", "Quiet", "Bright"]
TAGS = "oak ash wool linen glass steel cotton paper cork clay handmade outdoor kitchen bath bed office".split()  # noqa: SIM905
COLOURS = ["red", "blue", "green", "grey", "white", "black"]
SIZES = ["S", "M", "L", "XL"]
WORDS = (  # noqa: SIM905
    "made for evenings with friends and long mornings light to carry easy to clean will not fade keeps its shape "
    "from wood that was dried for two years by people who know how looks well beside old things and new"
).split()
PARTS = {"header": "The autumn house", "teaser": "New this week", "looks": "Three rooms", "footer": "Made to last"}
LIKES = 5000
COMMENTS = 1500


def text(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words)).capitalize() + "."


def make_products(rng, count):
    categories = [Category.objects.create(name=f"{kind}s", slug=f"{kind.lower()}s") for kind in KINDS]
    tags = Tag.objects.bulk_create(Tag(name=name) for name in TAGS)
    products = Product.objects.bulk_create(
        Product(
            sku=f"SH-{number:05}",
            name=f"{rng.choice(LOOKS)} {rng.choice(KINDS).lower()} {number}",
            description=text(rng, 60),
            category=rng.choice(categories),
            price=Decimal(rng.randint(500, 50000)) / 100,
            stock=rng.randint(0, 200),
        )
        for number in range(1, count + 1)
    )
    links = Product.tags.through
    links.objects.bulk_create(
        links(product=product, tag=tag) for product in products for tag in rng.sample(tags, rng.randint(2, 5))
    )
    Picture.objects.bulk_create(
        Picture(product=product, path=f"{product.sku}/{view}.jpg", title=f"{product.name}, {view}")
        for product in products
        for view in ("front", "side", "detail")
    )
    Variant.objects.bulk_create(
        Variant(product=product, colour=rng.choice(COLOURS), size=size, stock=rng.randint(0, 50))
        for product in products
        for size in SIZES
    )
    return products


def make_rest(rng, products):
    for name, title in PARTS.items():
        part = Part.objects.create(name=name, title=title, text=text(rng, 50))
        part.products.set(rng.sample(products, min(6, len(products))))
    # a few products have most of the likes
    Like.objects.bulk_create(Like(product=products[int(len(products) * rng.random() ** 3)]) for _ in range(LIKES))
    Comment.objects.bulk_create(
        Comment(
            product=products[int(len(products) * rng.random() ** 3)],
            author=f"visitor {rng.randint(1, 900)}",
            text=text(rng, rng.randint(4, 30)),
        )
        for _ in range(COMMENTS)
    )


class Command(BaseCommand):
    help = "Fills an empty catalogue with products, parts of the page, likes and comments."

    def add_arguments(self, parser):
        default = int(os.environ.get("PRODUCTS", "500"))
        parser.add_argument("--products", type=int, default=default, help="default: PRODUCTS, else 500")

    def handle(self, *args, **options):  # noqa: ARG002
        if Product.objects.exists():
            self.stdout.write("there are products already: nothing added")
            return
        rng = random.Random(128)
        with transaction.atomic():
            products = make_products(rng, max(1, options["products"]))
            make_rest(rng, products)
        self.stdout.write(f"{len(products)} products added")
