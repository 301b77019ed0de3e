"""Decoders that people bring: mappings, and decoders of installed packages."""
