#!/bin/sh
# Makes the namespace with its retention, and Shelf's search attributes in it. Repeatable; never shortens a retention.
#
# TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE  which server and namespace, as in Temporal's own tools
set -eu

namespace=${TEMPORAL_NAMESPACE:-default}
retention_seconds=2592000 # 30 days; the dev server's own is one

describe() { temporal operator namespace describe --namespace "$namespace" --output json 2>/dev/null; }

if description=$(describe); then
    kept=$(printf '%s' "$description" | sed -n 's/.*"workflowExecutionRetentionTtl": *"\([0-9]*\).*/\1/p')
    if [ "${kept:-0}" -lt "$retention_seconds" ]; then
        temporal operator namespace update --namespace "$namespace" --retention "${retention_seconds}s"
    fi
else
    temporal operator namespace create --namespace "$namespace" --retention "${retention_seconds}s"
fi

# All servers of a cluster know a new namespace within ten seconds.
tries=0
until known=$(temporal operator search-attribute list --namespace "$namespace" 2>&1); do
    tries=$((tries + 1))
    if [ "$tries" -ge 30 ]; then
        echo "setup: the namespace $namespace does not appear: $known" >&2
        exit 1
    fi
    sleep 1
done

for attribute in ShelfBook=Keyword ShelfJob=Keyword ShelfState=Keyword \
    ShelfPagesDone=Int ShelfPagesFailed=Int ShelfCostUsd=Double; do
    name=${attribute%=*}
    printf '%s\n' "$known" | grep -qw "$name" ||
        temporal operator search-attribute create --namespace "$namespace" --name "$name" --type "${attribute#*=}"
done
