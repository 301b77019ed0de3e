"""The decoders: one file a device family, one row here. `native` is Headwater's own and stands outside of the table.

In: a payload with its source. Out: messages, or `Rejected`. A decoder is pure: no I/O, no clock, no state, so that the
same one runs live, over the past, and in tests. To add a family: a file with a `decode`, a row in its group's table.
"""
