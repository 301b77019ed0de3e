"""Other MQTT brokers as a way in."""
