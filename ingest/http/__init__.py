"""The HTTP ingest route, served below ASGI."""
