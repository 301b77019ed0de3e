"""Where things are kept: the log, the stores of each role with their ledgers, the registry, the checkpoints."""
