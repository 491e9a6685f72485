from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from school import views

urlpatterns = [
    path("login/", LoginView.as_view(template_name="school/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("", views.dashboard, name="dashboard"),
    path("messages/", views.messages, name="messages"),
    path("grades/", views.grades, name="grades"),
    path("attendance/", views.attendance, name="attendance"),
    path("students/<int:pk>/", views.student, name="student"),
]
