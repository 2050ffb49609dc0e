"""Pages of the shop. No line in here knows that referrals are tracked: the triggers in the settings do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.db import transaction
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from project.shop.catalogue import CURRENCY, TEAS
from project.shop.forms import BuyForm
from project.shop.models import Order

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest, HttpResponse

    class CustomerRequest(HttpRequest):
        """A request of somebody who is logged in."""

        user: User


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the teas. The template greets who comes from a partner."""
    return render(request, "shop/home.html", {"teas": TEAS.values(), "currency": CURRENCY})


@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Make a user and log it in."""
    form: UserCreationForm[User] = UserCreationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.save())
        return redirect("shop:home")
    return render(request, "shop/form.html", {"form": form, "title": "Sign up", "button": "Sign up"})


@require_http_methods(["GET", "HEAD", "POST"])
def log_out(request: HttpRequest) -> HttpResponse:
    """Ask, then log out."""
    if request.method == "POST":
        logout(request)
        return redirect("shop:home")
    return render(request, "shop/form.html", {"title": "Log out", "button": "Log out"})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def buy(request: CustomerRequest) -> HttpResponse:
    """Place an order and pay it."""
    form = BuyForm(request.POST if request.method == "POST" else None, initial={"tea": request.GET.get("tea", "assam")})
    if not form.is_valid():
        return render(request, "shop/form.html", {"form": form, "title": "Buy tea", "button": "Order and pay"})
    tea = TEAS[form.cleaned_data["tea"]]
    with transaction.atomic():
        order = Order(customer=request.user, tea=tea.name, total=tea.price, currency=CURRENCY)
        order.save()
        order.pay()
    return redirect("shop:order", pk=order.pk)


@login_required
@require_safe
def order_page(request: CustomerRequest, pk: int) -> HttpResponse:
    """Show one of the customer's own orders."""
    order = get_object_or_404(Order, pk=pk, customer=request.user)
    return render(request, "shop/order.html", {"order": order})
