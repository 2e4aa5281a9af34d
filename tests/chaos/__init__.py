"""Whether a turn that was answered 202 reaches memory once and in order, whatever dies meanwhile.

The real service as real processes, browsers that post over HTTP and repeat what was not answered, one thing
that goes wrong at a time, and a checker that knows what was sent, what was promised and what memory holds.
"""
