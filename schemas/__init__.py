"""What is stored, and how: documents, artifacts' bodies, the store, its history.

The lowest layer. Imports nothing of ours above it: no operation, no job, no provider.
"""
