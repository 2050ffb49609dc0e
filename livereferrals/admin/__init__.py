"""The admin for people who are not technical."""
