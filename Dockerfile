# syntax=docker/dockerfile:1
# One image for all that is Shelf's own: the workers, the command line, the jobs that prepare the servers, and DefraDB, of
# which no release could be pulled. docs/deploy.md says how it is used.

ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm
ARG GO_IMAGE=golang:1.26.5-bookworm

FROM ${GO_IMAGE} AS go

# DefraDB, by the code that builds it outside of containers too: pins, flags and the check of the product are there.
FROM ${PYTHON_IMAGE} AS defradb
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY --from=go /usr/local/go /usr/local/go
ENV PATH=/usr/local/go/bin:$PATH
WORKDIR /build
# Only what it imports: another edit of the command line must not cost these minutes again.
COPY tools/defradb/ tools/defradb/
COPY schemas/__init__.py schemas/errors.py schemas/
COPY cli/__init__.py cli/output.py cli/
COPY cli/stack/ cli/stack/
COPY deploy/build_defradb.py deploy/
RUN --mount=type=cache,target=/root/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    PYTHONPATH=/build python deploy/build_defradb.py /opt/defradb/defradb

# The locked packages, as ./shelf installs them.
FROM ${PYTHON_IMAGE} AS packages
COPY tools/uv-requirements.txt requirements.lock /build/
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r /build/uv-requirements.txt
RUN uv venv --no-project --python /usr/local/bin/python /opt/venv \
    && UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
        uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes /build/requirements.lock

FROM ${PYTHON_IMAGE} AS shelf
# Those of whoever runs it, so that files which `shelf export` and `shelf dump` write belong to them.
ARG UID=1000
ARG GID=1000
RUN groupadd --non-unique --gid "${GID}" shelf \
    && useradd --no-log-init --create-home --uid "${UID}" --gid "${GID}" shelf \
    # A new volume takes its owner from the folder that it covers.
    && install --directory --owner shelf --group shelf /var/lib/shelf /var/lib/defradb /var/lib/artifacts
COPY --from=defradb /opt/defradb/ /opt/defradb/
COPY --from=packages /opt/venv/ /opt/venv/
WORKDIR /app
COPY pyproject.toml requirements.lock LICENSE worker.py ./
COPY schemas/ schemas/
COPY providers/ providers/
COPY activities/ activities/
COPY workflows/ workflows/
COPY books/ books/
COPY cli/ cli/
COPY tools/defradb/ tools/defradb/
COPY samples/ samples/
COPY deploy/worker_health.py deploy/database_types.py deploy/with_keys.sh deploy/
RUN python -m compileall -q .
ENV PATH=/opt/venv/bin:/opt/defradb:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    OMP_THREAD_LIMIT=1 \
    DEFRADB_BIN=/opt/defradb/defradb \
    SHELF_HOME=/var/lib/shelf \
    SHELF_WORKER=external
USER shelf
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 CMD ["python", "deploy/worker_health.py"]
CMD ["python", "worker.py"]
