"""Formats of platforms and standards."""
