"""Tests of the decoders of Bluetooth."""
