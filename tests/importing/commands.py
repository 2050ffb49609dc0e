"""Running the importers as a person would."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command


def run(command: str, *arguments: str, out: StringIO | None = None) -> str:
    """Run a sub-command without pauses; return what it printed."""
    out = out or StringIO()
    call_command("livereferrals", command, "--pause", "0", *arguments, stdout=out)
    return out.getvalue()


def import_hype(*arguments: str, out: StringIO | None = None) -> str:
    """Run `import-hype`."""
    return run("import-hype", *arguments, out=out)


def import_affiliations(*arguments: str, out: StringIO | None = None) -> str:
    """Run `import-affiliations`."""
    return run("import-affiliations", *arguments, out=out)
