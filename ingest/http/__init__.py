"""The HTTP way in: `POST /ingest`, answered below ASGI inside the server that also serves the API and pages.

A request's way: `protocol` (bytes → requests, in order) → `head` (which route, whose, which form) → `request` (body →
payloads) → `Intake.accept` → `reply` (receipt → bytes). `server` listens, sweeps out the slow, and stops in order.
"""
