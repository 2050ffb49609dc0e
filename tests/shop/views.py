"""A small shop: ordinary pages, sign-up that logs in, and buying, as sync and async views."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django import forms
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import BaseUserCreationForm
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from tests.shop.models import Order
from tests.shop.signals import order_paid

if TYPE_CHECKING:
    from django.http import HttpRequest


class SignUpForm(BaseUserCreationForm):  # type: ignore[type-arg] # generic in the stubs only
    class Meta(BaseUserCreationForm.Meta):
        fields = ("username",)


class OrderForm(forms.Form):
    number = forms.CharField(max_length=50)
    total = forms.DecimalField(max_digits=12, decimal_places=2, initial=Decimal("12.50"))
    currency = forms.CharField(max_length=3, initial="EUR")
    fail = forms.BooleanField(required=False, help_text="Roll back after the payment.")


class PaymentFailedError(Exception):
    """The payment was taken back before the transaction ended."""


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/home.html")


async def async_home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<!doctype html><title>Shop</title><h1>Shop</h1>")


def page(request: HttpRequest) -> HttpResponse:
    """An ordinary page that never looks at its visitor."""
    return HttpResponse("page")


def whoami(request: HttpRequest) -> JsonResponse:
    """What `request.referral` says."""
    referral = request.referral  # type: ignore[attr-defined] # set by the middleware
    if not referral:
        return JsonResponse({"visitor": None, "link": None})
    return JsonResponse({"visitor": str(referral.visitor.pk), "link": referral.link and referral.link.identifier})


async def async_whoami(request: HttpRequest) -> JsonResponse:
    return await sync_to_async(whoami)(request)


def sign_up(request: HttpRequest) -> HttpResponse:
    """Make a user and log it in."""
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            user = form.save()
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return redirect("home")
    return render(request, "shop/form.html", {"form": form}, status=200 if request.method == "GET" else 422)


def place(request: HttpRequest, form: OrderForm) -> Order:
    """Place and pay an order in one transaction; with `fail` all of it is rolled back."""
    values = form.cleaned_data
    with transaction.atomic():
        order = Order.objects.create(
            customer=request.user if request.user.is_authenticated else None,
            number=values["number"],
            total=values["total"],
            currency=values["currency"],
            paid=True,
        )
        order_paid.send(sender=Order, order=order, request=request)
        if values["fail"]:
            raise PaymentFailedError
    return order


@login_required
def buy(request: HttpRequest) -> HttpResponse:
    """Buy what the form says."""
    form = OrderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            order = place(request, form)
        except PaymentFailedError:
            return JsonResponse({"error": "payment failed"}, status=402)
        return JsonResponse({"order": order.number}, status=201)
    return render(request, "shop/form.html", {"form": form}, status=200 if request.method == "GET" else 422)


async def async_buy(request: HttpRequest) -> HttpResponse:
    """The same from an async view."""
    await request.auser()
    return await sync_to_async(buy)(request)
