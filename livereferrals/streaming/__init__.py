"""The live streams: one hub in each process, and the partner feed on top of it."""
