from django.db import models


class Category(models.Model):
    slug = models.SlugField(unique=True)


class Product(models.Model):
    name = models.CharField(max_length=50)
    category = models.ForeignKey(Category, on_delete=models.CASCADE)
    draft = models.BooleanField(default=False)


class Forgotten(models.Model):
    """Nobody makes its table."""

    name = models.CharField(max_length=50)
