from courses import views
from django.urls import path

urlpatterns = [
    path("", views.index, name="index"),
    path("courses/<slug:slug>/", views.course, name="course"),
    path("lessons/<int:pk>/", views.lesson, name="lesson"),
    path("quiz/<int:pk>/", views.quiz, name="quiz"),
    path("quiz/<int:pk>/attempt/", views.attempt, name="attempt"),
    path("quiz/<int:pk>/statistics/", views.statistics, name="statistics"),
    path("attempts/<int:pk>/", views.result, name="result"),
    path("progress/", views.progress, name="progress"),
    path("me/", views.me, name="me"),
    path("api/quiz/<int:pk>/attempt/", views.api_attempt, name="api-attempt"),
]
