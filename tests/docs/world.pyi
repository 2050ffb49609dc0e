"""What the reader of an example has: a Django project with a shop, or a partner's program."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, URLResolver

from livereferrals.client import Event

# A settings file, urls.py, asgi.py and views.py as `startproject` and `startapp` leave them.
BASE_DIR: Path
DATABASES: dict[str, dict[str, Any]]
INSTALLED_APPS: list[str]
MIDDLEWARE: list[str]
LIVEREFERRALS: dict[str, Any]
urlpatterns: list[URLPattern | URLResolver]
application: Any

def get_asgi_application() -> Any: ...

# A shop. A request is any: `request.referral` is set by the middleware, and typed nowhere.
Order: Any
Tier: Any
order_paid: Any
views: Any
request: Any
user: Any
customer: Any
order: Any
orders: Iterable[Any]
link: Any
subscription: Any
confirmation: Any
uid: str

def redirect(to: str) -> HttpResponse: ...
def give_points(owner: Any, reference: str | None) -> None: ...

# A partner's program.
SECRET: str
url: str
token: str
feed: Any
event: Event

def seen_before(delivery: str) -> bool: ...
def enqueue(event: object) -> None: ...
async def book(event: Any) -> None: ...
async def book_all(events: Iterable[Any]) -> None: ...
def pay(reference: str | None, amount: str | None, currency: str | None) -> None: ...
def take_back(confirmation: str) -> None: ...
