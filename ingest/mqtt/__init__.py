"""The MQTT endpoint: packets, connections, sessions; 3.1.1 and 5."""
