"""The agent: beside a device or on a site, it keeps what is said until Headwater has acknowledged it."""
