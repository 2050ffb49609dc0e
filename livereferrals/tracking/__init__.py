"""Partners, links, visitors and their hits: what is recorded, and who may be credited."""
