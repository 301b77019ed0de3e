"""Decoders of LoRaWAN networks, and makers' codecs."""
