"""A checker for ``bicep/``: it reads the files, works them out for each environment, and complains.

It is no compiler. It knows the part of the language that these files use, and refuses the rest:
https://learn.microsoft.com/azure/azure-resource-manager/bicep/file (checked 2026-11-20).
"""
