"""Whether a turn that a page has stored reaches memory once and in order, however its page ends.

Real Chromium profiles with the shipped modules, a real enrichment behind a small proxy that can fail, one end
after the other, and a last visit after which memory is compared with what was stored.
"""
