"""The fault bench: our broker, and ports of what it replaces, against a fake Azure that fails by schedule.

Read `mixes` (which faults), `schedules` (when), `fates` (what becomes of one request), `domain` and `azure`
(the fake), `ports` (what we compare with), `load` (the callers), `trial` (one mix against one system), `bars`
(what must hold).
"""
