"""Engines and services that read, blend and classify, each in a file behind a narrow interface; the queue table
that says how each is called; the artifact store that keeps what they returned. Knows no operation and no job.
"""
