"""The command line: what a user types, and the embedded servers that it starts.

Highest layer. Data goes to stdout, progress to stderr. `cli/main.py` lists the commands; each module `commands_*.py`
holds some of them and imports what is heavy inside the function, so that `--help` stays under 0.3 s.
"""
