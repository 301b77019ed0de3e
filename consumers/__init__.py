"""Workers behind the log: the selector makes candidates of messages, writers put a topic into a store."""
