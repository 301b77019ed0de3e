# Makes each credential of the stack that is not there yet: 48 hex digits, in a volume that its containers read.
set -eu
cd /run/secrets
for name in redis mongodb elasticsearch mariadb s3_access s3_secret grafana metrics_key; do
  [ -s "$name" ] && continue
  head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$name.new"
  chmod 444 "$name.new" # the containers' users differ
  mv "$name.new" "$name"
done
