"""What is done with books that were processed: read as a whole, exported, searched, evaluated, dumped and deleted.

Reads documents and artifacts, and writes none; knows nothing of operations and jobs.
"""
