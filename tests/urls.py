"""URLs of the host project that the tests play."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from tests.shop import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", views.home, name="home"),
    path("async/", views.async_home, name="async-home"),
    path("page/", views.page, name="page"),
    path("whoami/", views.whoami, name="whoami"),
    path("async-whoami/", views.async_whoami, name="async-whoami"),
    path("signup/", views.sign_up, name="signup"),
    path("login/", LoginView.as_view(template_name="shop/form.html"), name="login"),
    path("logout/", LogoutView.as_view(next_page="/"), name="logout"),
    path("buy/", views.buy, name="buy"),
    path("async-buy/", views.async_buy, name="async-buy"),
    path("ref/", include("livereferrals.urls")),
    path("referrals/", include("livereferrals.dashboard.urls")),
]
