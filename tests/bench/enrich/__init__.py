"""What accepting, delivering and reading back cost, everything on, beside the bare engine.

The service and who asks it are processes of their own on the same cores; the engine alone is measured in the
same rounds with the same rows and as many callers at a time.
"""
