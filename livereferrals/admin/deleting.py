"""Deleting with care: the page says what goes and what stays, and offers to switch off instead (D-06)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import ProtectedError, RestrictedError
from django.http import HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _

from livereferrals.admin.listing import LISTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model, QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """Rows that hang on a row."""

    label: Any
    count: int

    def __str__(self) -> str:
        if self.count > LISTED:
            return _("%(label)s: more than %(count)s") % {"label": self.label, "count": LISTED}
        return _("%(label)s: %(count)s") % {"label": self.label, "count": self.count}


def related(label: Any, rows: QuerySet[Any]) -> list[Related]:
    """Return how many rows there are, as a list of one, or of none; a large number is not counted to its end."""
    count = rows.order_by().values("pk")[: LISTED + 1].count()
    return [Related(label=label, count=count)] if count else []


class CarefulDeleteAdmin(admin.ModelAdmin):
    """Deletes one row at a time, after saying what goes with it."""

    delete_confirmation_template = "admin/livereferrals/delete_confirmation.html"
    switch_off_label: Any
    """What is offered instead."""

    def kept_for(self, obj: Any) -> list[Related]:
        """Return what must stay, so that the row cannot be deleted at all."""
        raise NotImplementedError

    def going_with(self, obj: Any) -> list[Related]:
        """Return what is deleted with the row."""
        raise NotImplementedError

    def is_on(self, obj: Any) -> bool:
        """Return whether there is something to switch off."""
        raise NotImplementedError

    def switch_off(self, obj: Any) -> str:
        """Switch the row off, and return the column that has changed."""
        raise NotImplementedError

    def get_actions(self, request: HttpRequest) -> Any:
        """Leave Django's "Delete selected" out: nothing is deleted by the dozen."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_urls(self) -> list[URLPattern]:
        """Add the button that switches off."""
        opts = self.model._meta
        view = self.admin_site.admin_view(self.switch_off_view)
        own = path("<path:object_id>/switch-off/", view, name=f"{opts.app_label}_{opts.model_name}_switch_off")
        return [own, *super().get_urls()]

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:
        """Return what Django's page asks for, counted and not listed: there may be a million hits."""
        rows = list(objs)
        going = [each for row in rows for each in self.going_with(row)]
        kept = [str(each) for row in rows for each in self.kept_for(row)]
        lacking = {self.opts.verbose_name for row in rows if not self.has_delete_permission(request, row)}
        return [str(row) for row in rows], {each.label: each.count for each in going}, lacking, kept

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask, and delete; what has come in the meantime and must stay is not run over."""
        obj = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if obj is not None:
            context["lr_going"] = self.going_with(obj)
            if self.is_on(obj) and self.has_change_permission(request, obj):
                context["lr_switch_off_url"] = self._url("switch_off", obj)
                context["lr_switch_off_label"] = self.switch_off_label
        try:
            return super().delete_view(request, object_id, context)
        except (ProtectedError, RestrictedError):
            self.message_user(request, _("Something new came in, so that it cannot be deleted."), messages.ERROR)
            return HttpResponseRedirect(self._url("change", obj))

    def switch_off_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Switch the row off instead of deleting it."""
        obj = self.get_object(request, object_id)
        if not self.has_change_permission(request, obj):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if obj is None:
            return HttpResponseRedirect(self._url("changelist"))
        column = self.switch_off(obj)
        self.log_change(request, obj, [{"changed": {"fields": [column]}}])
        self.message_user(request, _("%(name)s does not count any more.") % {"name": obj}, messages.SUCCESS)
        return HttpResponseRedirect(self._url("change", obj))

    def _url(self, name: str, obj: Model | None = None) -> str:
        arguments = [] if obj is None else [obj.pk]
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=arguments)
