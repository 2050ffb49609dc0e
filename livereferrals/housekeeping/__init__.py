"""Housekeeping: what runs beside the deliveries in every worker, put together here because it spans all layers.

    housekeeping.start_embedded()       # in a server process, where the embedded worker runs
    with housekeeping.running(): ...    # in a process of one's own

Rollups follow the log; what is old is forgotten. Any number of processes may do it: each chore is one process's at a
time. Events that a killed writer left without a number are numbered by hubs and workers, which look every second.
"""

from __future__ import annotations

from livereferrals.housekeeping.keeper import Housekeeper, running, start_embedded, stop_embedded

__all__ = ["Housekeeper", "running", "start_embedded", "stop_embedded"]
