#!/bin/sh
# Makes or updates the two databases of Temporal in PostgreSQL. Repeatable: what is there already is left as it is.
set -eu

SQL_PASSWORD=$(cat /run/secrets/postgres_password)
export SQL_PASSWORD

for database in temporal temporal_visibility; do
    case $database in
    temporal) versions=temporal ;;
    *) versions=visibility ;;
    esac
    set -- temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" -p 5432 -u "$POSTGRES_USER" --db "$database"
    "$@" create
    "$@" setup-schema -v 0.0
    "$@" update-schema -d "/etc/temporal/schema/postgresql/v12/$versions/versioned"
done
