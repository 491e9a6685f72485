from django.urls import path
from shop import views

urlpatterns = [
    path("", views.index, name="index"),
    path("api/products/", views.products, name="products"),
    path("api/products/<int:pk>/", views.product, name="product"),
    path("api/parts/<slug:name>/", views.part, name="part"),
    path("api/likes/<int:pk>/", views.likes, name="likes"),
    path("api/comments/<int:pk>/", views.comments, name="comments"),
]
