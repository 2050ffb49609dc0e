"""URLs of the shop."""

from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.urls import path

from project.shop import consent, views

app_name = "shop"
urlpatterns = [
    path("", views.home, name="home"),
    path("consent/", consent.answer, name="consent"),
    path("signup/", views.sign_up, name="signup"),
    path(
        "login/",
        LoginView.as_view(
            template_name="shop/form.html",
            redirect_authenticated_user=True,
            extra_context={"title": "Log in", "button": "Log in"},
        ),
        name="login",
    ),
    path("logout/", views.log_out, name="logout"),
    path("buy/", views.buy, name="buy"),
    path("orders/<int:pk>/", views.order_page, name="order"),
]
