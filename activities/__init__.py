"""Operations: one folder each. `operation.py` is the plan (pure, imported by workflows), `activity.py` the work and
the save (imported by the worker only). Above the folders: what all operations share.

    contracts.py   units, results, the frozen job configuration: what travels through Temporal
    operation.py   the Operation interface and the planning that most operations share
    state.py       JobState, the one picture of a job that plans read and write
    registry.py    operations by name
    services.py    what activities work with: store, artifacts, providers
    work.py        the way of a unit through a provider into the artifact store
    save.py        the way from a published artifact into documents
    job.py         activities of the job itself: resolve, load state, release
"""
