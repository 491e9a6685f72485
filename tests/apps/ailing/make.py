"""Makes the shop's tables but one, and forty products."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.db import connection  # noqa: E402
from shop.models import Category, Product  # noqa: E402

with connection.schema_editor() as editor:
    editor.create_model(Category)
    editor.create_model(Product)
categories = [Category.objects.create(slug=f"kind-{number}") for number in range(4)]
for number in range(40):
    Product.objects.create(name=f"Tea {number}", category=categories[number % 4], draft=number % 8 == 1)
