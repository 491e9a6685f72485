from django.urls import path
from pages.views import random_page

urlpatterns = [path("", random_page, name="random-page")]
