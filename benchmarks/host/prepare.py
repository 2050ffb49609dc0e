"""Makes the tables, a partner and the link that is followed: `python -m benchmarks.host.prepare`."""

from __future__ import annotations

import os

import django


def main() -> None:
    """Prepare the database that `BENCH_DATABASE_URL` names."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.host.settings")
    django.setup()
    from django.core.management import call_command

    from benchmarks.host import IDENTIFIER, PARTNER
    from livereferrals.models import Partner, ReferralLink

    call_command("migrate", verbosity=0)
    partner = Partner.objects.create(name="Benchmark", uid=PARTNER, active=True)
    ReferralLink.objects.create(identifier=IDENTIFIER, partner=partner)


if __name__ == "__main__":
    main()
