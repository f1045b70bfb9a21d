"""The embedded stack: a Temporal dev server, a DefraDB and one worker process, for work on one machine.

`stack.py` starts, recognises and stops the three; `servers.py` knows how each is called and asked whether it answers;
`processes.py` tells our processes from others that got the same pid; `defradb_binary.py` finds DefraDB, `defradb_build.py` builds
it, and `defradb_release.py` says which one it has to be.
Servers whose address the user configured are external: they are used, never started or stopped.
"""
