"""The admin for people who are not technical; importing it registers every page."""

from __future__ import annotations
