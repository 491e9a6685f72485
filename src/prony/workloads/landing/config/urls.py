from django.urls import path
from landing.views import page

urlpatterns = [path("", page, name="page")]
