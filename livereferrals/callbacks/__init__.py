"""Partner callbacks: what is owed to whom, and the worker that pays it."""
