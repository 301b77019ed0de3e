"""How far a group is behind on the log, as both kinds of log tell it."""

from typing import NamedTuple

from headwater.log import Partition


class GroupLag(NamedTuple):
    """A partition that a group has not taken all of.

    `behind`: entries. `age`: seconds since the next one was appended. `share`: how much of the way to being dropped by
    age or size that entry has gone: an alarm at 0.5; it is lost at 1.
    """

    group: str
    topic: str
    partition: Partition
    behind: int
    age: float
    share: float
