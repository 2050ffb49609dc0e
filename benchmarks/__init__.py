"""What the package costs, measured: run one with `python -m benchmarks.<name>`. Nothing here is asserted in tests."""
