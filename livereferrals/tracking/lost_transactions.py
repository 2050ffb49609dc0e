"""Whether the host's transaction can still be committed after something went wrong in it.

Where even the savepoint cannot be rolled back (the session was cut, the disk is full), Django notes that the whole
transaction is lost, and its outermost block ends *without an error*, unless somebody asks the database once more. An error
that we keep to ourselves then would let the host take for saved what is not.
"""

from __future__ import annotations

from django.db import transaction


def is_lost(using: str) -> bool:
    """Whether there is a transaction, and nothing but a rollback is left of it. No query."""
    connection = transaction.get_connection(using)
    return bool(connection.in_atomic_block and connection.needs_rollback)
