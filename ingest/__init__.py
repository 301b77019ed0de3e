"""The front door: what devices send is identified, decoded, validated, appended to the log, then acknowledged."""
