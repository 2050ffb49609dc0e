"""The filtered list as CSV, sent while it is read (D-24)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseNotAllowed, HttpResponseRedirect, StreamingHttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _

from livereferrals import times
from livereferrals.spreadsheets import BOM, line, on_the_loop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

CHUNK = 2_000
"""Rows read at a time."""
PERMISSION = "livereferrals.export_referrals"


def chunks(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """Give the rows in the order of their keys, so many at a time: no cursor and no transaction stays open meanwhile."""
    ordered = rows.order_by("pk")
    found = list(ordered[:CHUNK])
    while found:
        yield found
        found = list(ordered.filter(pk__gt=found[-1].pk)[:CHUNK]) if len(found) == CHUNK else []


class ExportAdmin:
    """Adds "Export CSV" to a list; mix into a `ModelAdmin`."""

    export_columns: ClassVar[Sequence[str]] = ()
    """Headings, the same in every language: other programs read them."""

    def export_headings(self, request: HttpRequest) -> list[str]:
        """Return the columns that the user may have."""
        return self.shown(request, self.export_columns)  # type: ignore[attr-defined, no-any-return] # LookOnlyAdmin

    def export_rows(self, rows: list[Any]) -> Iterator[dict[str, object]]:
        """Give the values of each row by heading."""
        raise NotImplementedError

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may take the list away."""
        return request.user.has_perm(PERMISSION) and self.has_view_permission(request)  # type: ignore[attr-defined]

    def get_urls(self) -> list[URLPattern]:
        """Add the export's URL."""
        opts = self.model._meta  # type: ignore[attr-defined] # mixed into a ModelAdmin
        view = self.admin_site.admin_view(self.export_view)  # type: ignore[attr-defined]
        own = path("export/", view, name=f"{opts.app_label}_{opts.model_name}_export")
        return [own, *super().get_urls()]  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list with its button, which keeps the filters."""
        context = dict(extra_context or {})
        if self.has_export_permission(request):
            opts = self.model._meta  # type: ignore[attr-defined]
            url = reverse(f"admin:{opts.app_label}_{opts.model_name}_export")
            context["lr_export_url"] = f"{url}?{request.GET.urlencode()}"
        return super().changelist_view(request, context)  # type: ignore[misc, no-any-return]

    def export_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Send the filtered list."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            rows = self.get_changelist_instance(request).queryset  # type: ignore[attr-defined]
        except IncorrectLookupParameters:
            opts = self.model._meta  # type: ignore[attr-defined]
            return HttpResponseRedirect(reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))
        self._log(request)
        lines = self._lines(rows, self.export_headings(request))
        # A server that speaks ASGI would collect a plain iterator to its end before the first byte goes out.
        content = on_the_loop(lines) if isinstance(request, ASGIRequest) else lines
        name = f"{self.model._meta.verbose_name_plural}-{times.today():%Y-%m-%d}.csv"  # type: ignore[attr-defined]
        return StreamingHttpResponse(
            content,
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
        )

    def _lines(self, rows: QuerySet[Any], headings: Sequence[str]) -> Iterator[str]:
        """Give the file in pieces of about a chunk."""
        yield BOM + line(headings)
        for chunk in chunks(rows):
            values = self.export_rows(chunk)
            yield "".join(line(row[heading] for heading in headings) for row in values)

    def _log(self, request: HttpRequest) -> None:
        """Leave a trace of who took which list away (D-27)."""
        filters = request.GET.urlencode()
        LogEntry.objects.create(
            user_id=cast("int", request.user.pk),
            content_type=ContentType.objects.get_for_model(self.model),  # type: ignore[attr-defined]
            object_id=None,
            object_repr=_("Export of %(names)s") % {"names": self.model._meta.verbose_name_plural},  # type: ignore[attr-defined]
            action_flag=CHANGE,
            change_message=_("Exported as CSV: %(filters)s") % {"filters": filters or _("everything")},
        )
