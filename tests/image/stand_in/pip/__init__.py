"""Stands where pip is when the image is rebuilt for the tests: see `__main__`."""
