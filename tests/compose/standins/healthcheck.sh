#!/bin/bash
# healthcheck.sh --connect --innodb_initialized: by the root of this container, as far as it needs no password.
mariadb --no-defaults --socket=/run/mysqld/mysqld.sock -Ne \
  "SELECT 1 FROM information_schema.ENGINES WHERE engine = 'innodb' AND support IN ('YES', 'DEFAULT')" | grep -q 1
