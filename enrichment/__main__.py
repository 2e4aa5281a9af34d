"""``python -m enrichment``: see `enrichment.cli`."""

from enrichment.cli import main

if __name__ == "__main__":
    main()
