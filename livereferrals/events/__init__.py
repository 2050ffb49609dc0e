"""The event log: appended in the caller's transaction, numbered after commit, read by number."""
