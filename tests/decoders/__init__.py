"""Decoders against real payloads: what the source of a sample says it means, and what we make of it."""
