from django.urls import path

from . import views

urlpatterns = [
    path("", views.index, name="index"),
    path("gigs/<int:pk>", views.detail, name="detail"),
    path("api/stats", views.stats, name="stats"),
    path("health", views.health, name="health"),
]
