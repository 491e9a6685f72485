from django.db import models


class Venue(models.Model):
    name = models.CharField(max_length=100)
    city = models.CharField(max_length=100)


class Event(models.Model):
    title = models.CharField(max_length=200)
    starts_at = models.DateTimeField()
    venue = models.ForeignKey(Venue, on_delete=models.CASCADE)

    class Meta:
        ordering = ["starts_at"]
