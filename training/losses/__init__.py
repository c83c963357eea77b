"""Losses that torch does not bring."""
