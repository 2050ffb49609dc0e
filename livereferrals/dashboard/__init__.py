"""The live dashboard: pages, statistics and the socket that keeps them current."""
