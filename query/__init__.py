"""Answers: REST, live stream, pages. Reads stores and the log; writes nothing but what a person asks for."""
