"""The one script and the one style sheet of the app's admin pages."""

from __future__ import annotations

from typing import ClassVar

from django import forms


class Styled:
    """What pages load besides the admin's own; mix into a `ModelAdmin`."""

    class Media:
        """The files."""

        css: ClassVar = {"all": ["livereferrals/admin.css"]}
        js: ClassVar = [forms.Script("livereferrals/admin.js", type="module")]
