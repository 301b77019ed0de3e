#!/bin/bash
# kafka-broker-api-versions.sh --bootstrap-server HOST:PORT: fails unless the broker answers. (Asks for its configuration.)
exec java -Xmx64m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "/opt/kafka/libs/*" \
  kafka.admin.ConfigCommand "$@" --describe --entity-type brokers
