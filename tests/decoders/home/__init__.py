"""Decoders of what is at home."""
