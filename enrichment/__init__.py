"""Enrichment: takes what was said, keeps it safe, and brings every turn into memory once and in order.

Read in this order: routes, turns, accepting, outbox/port, delivery, memory/port.
"""
