"""Jobs: what a user starts. Each is a composition of operations over one driver.

driver.py         runs any operations over any state until all is settled; knows no operation and no job
dispatch.py       carries one unit through its two activities
job.py            what all jobs share: resolve, lease, ranges, pause, cancel, ends
page_range.py     the child workflow that runs page-scoped operations over some pages
process_pages.py  the main job
"""
