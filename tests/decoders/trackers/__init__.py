"""Phones and vehicles."""
