from django.urls import path

from . import views

app_name = "catalog"

urlpatterns = [
    path("", views.home, name="home"),
    path("c/<slug:slug>/", views.category, name="category"),
    path("p/<slug:slug>/", views.product, name="product"),
    path("p/<slug:slug>/add/", views.add_to_basket, name="add"),
    path("search/", views.search, name="search"),
    path("account/", views.account, name="account"),
    path("healthz", views.healthz, name="healthz"),
]
