"""`python -m cli`: what the launcher starts."""

import sys

try:
    from cli.main import main
except KeyboardInterrupt:  # Ctrl-C while modules are loaded: nothing has begun
    sys.exit(130)

main()
