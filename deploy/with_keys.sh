#!/bin/sh
# Starts a program with its keys: for each variable NAME_FILE under /run/secrets it gets NAME, the content of that file.
# Whoever asks the container engine about the container sees the file's name alone.
set -eu

for name in $(env | sed -n 's|^\([A-Z][A-Z0-9_]*\)_FILE=/run/secrets/.*|\1|p'); do
    eval "file=\$${name}_FILE"
    value=$(cat "$file")
    export "$name=$value"
done
exec "$@"
