"""structure: chapters and buckets; every page belongs to one."""
