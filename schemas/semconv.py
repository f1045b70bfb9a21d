"""Names of span, metric and log attributes: OpenTelemetry's conventions, and our own where there are none.

Constants of our own on purpose: the conventions for generative AI are in development and moved to a repository without
releases (open-telemetry/semantic-conventions-genai, looked at as of November 2026), and the Python package that has
constants for them calls its modules private. HTTP (1.23) and database (1.33) are stable.
"""

from __future__ import annotations

# General and HTTP, stable
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
URL_FULL = "url.full"
"""Here always without credentials, query and fragment."""
HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"

# Databases, stable
DB_SYSTEM = "db.system.name"
DB_OPERATION = "db.operation.name"
DB_COLLECTION = "db.collection.name"
DB_BATCH_SIZE = "db.operation.batch.size"

# Generative AI, in development
GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_MAX_TOKENS = "gen_ai.request.max_tokens"
GEN_AI_TEMPERATURE = "gen_ai.request.temperature"
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"
CAPTURE_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""Environment variable of the conventions: only with `true` do prompts and answers go into spans."""

# Temporal, as its own integration spells them
TEMPORAL_WORKFLOW = "temporalWorkflowID"
TEMPORAL_RUN = "temporalRunID"
TEMPORAL_ACTIVITY = "temporalActivityID"

# Ours
BOOK = "shelf.book"
PAGE = "shelf.page"
PAGES = "shelf.pages"
JOB = "shelf.job"
OPERATION = "shelf.operation"
VARIANT = "shelf.variant"
ACTIVITY = "shelf.activity"
ATTEMPT = "shelf.attempt"
PROVIDER = "shelf.provider"
MODEL = "shelf.model"
OUTCOME = "shelf.outcome"
STATE = "shelf.state"
CONFLICT = "shelf.conflict"
COST_USD = "shelf.cost.usd"
