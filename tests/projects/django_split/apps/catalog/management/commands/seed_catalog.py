from decimal import Decimal

from django.core.management.base import BaseCommand
from django.utils.text import slugify

from apps.catalog.models import Category, Product
from apps.users.models import User


class Command(BaseCommand):
    help = "Fills the catalogue with demo data"

    def add_arguments(self, parser):
        parser.add_argument("--products", type=int, default=60)

    def handle(self, *args, **options):
        names = ["Garden tools", "Kitchen", "Lighting", "Toys"]
        categories = [Category.objects.get_or_create(name=n, slug=slugify(n))[0] for n in names]
        for number in range(options["products"]):
            name = f"Thing number {number + 1}"
            Product.objects.get_or_create(
                slug=slugify(name),
                defaults={
                    "name": name,
                    "category": categories[number % len(categories)],
                    "price": Decimal(number) + Decimal("0.99"),
                    "description": "A useful thing. " * 10,
                },
            )
        if not User.objects.filter(email="demo@example.com").exists():
            User.objects.create_user("demo@example.com", "demo")
        self.stdout.write(f"{Product.objects.count()} products")
