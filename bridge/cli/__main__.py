"""`python -m bridge.cli`: the command where no console script is installed, and as `up` starts the bridge."""

from bridge.cli import main

main()
