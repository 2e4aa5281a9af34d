"""Turns that were accepted and are not yet in memory. The one place where durability lives."""
