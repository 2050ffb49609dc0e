"""A host process that confirms on command: each line of stdin is a user's id and a reference, or the id alone.

It answers with the reason, once its own transaction has committed.
"""

from __future__ import annotations

import sys

import django


def main() -> None:
    django.setup()
    from django.contrib.auth.models import Group, User
    from django.db import connection, transaction

    from livereferrals import api

    connection.ensure_connection()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for number, line in enumerate(sys.stdin):
        user_pk, _, reference = line.strip().partition(" ")
        with transaction.atomic():
            result = api.confirm("Order paid", user=User.objects.get(pk=user_pk), reference=reference or None)
            # The host's own work, which nobody's race may break.
            Group.objects.create(name=f"{sys.argv[1]} {number}")
        sys.stdout.write(f"{result.reason} {result.confirmation and result.confirmation.pk}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
