#!/bin/sh
# Makes the secrets of the production profile in deploy/secrets. One that is there already is never changed.
#
# The folder is closed to other users of this machine. The files are readable, because containers read them as users of their
# own, which would otherwise be refused.
set -eu

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/secrets
mkdir -p "$folder"
chmod 700 "$folder"

secret() { # NAME PREFIX
    [ ! -s "$folder/$1" ] || return 0
    random=$(od -An -N 32 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s%s\n' "$2" "$random" >"$folder/$1.new"
    chmod 444 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
    echo "$folder/$1 made"
}

secret postgres_password ""
# The keys of the object store, for the server and for all that use it. For another store write yours into this file.
secret artifact_store '[default]
aws_access_key_id = shelf
aws_secret_access_key = '
# In the form in which DefraDB reads it. Without it the books cannot be read again: keep a copy elsewhere.
secret defradb_keyring DEFRA_KEYRING_SECRET=
