"""Taking over the rows of the two older packages: django-hype 1.0 and django-affiliate-tracking 0.12.

    source = Source(alias="default", zone=None)
    report = running.run(stages, output=output, ...)

The old tables are read directly, so that the old package need not be installed. Each old table is a *stage*, read in
batches by its primary key; a batch is one transaction. New rows have ids that follow from the old ones (`lasting_ids`), so
that a second run finds what the first has made. Nothing is appended to the event log: what partners read there is what
happens now. The totals that the dashboard shows get each batch's numbers in the batch's own transaction (`totals`).
"""

from __future__ import annotations
