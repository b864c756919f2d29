"""`python -m autoif_assets.cli`."""

from autoif_assets.cli import main

main()
