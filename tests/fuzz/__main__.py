"""Fuzzes the MQTT endpoint for as long as it is told. Usage: scripts/fuzz [SECONDS] [SEED]   (60 seconds, a new seed)

Out: rounds so far each ten seconds, with the memory in use; at the first fault the seed that brings it back, and exit
code 1. `scripts/fuzz 0 SEED` does that one round again.
"""

import resource
import sys
import time
import traceback
from random import Random, SystemRandom

import uvloop

from tests.fuzz import targets

GROWTH = 200 * 2**20
"""Bytes by which the process may grow, over however many rounds."""


async def one(seed: int, site: targets.Site) -> None:
    """One round: all targets."""
    random = Random(seed)
    targets.reader(random)
    targets.frames(random)
    await site.round(random)


async def main(seconds: float, seed: int | None) -> int:
    first = SystemRandom().randrange(2**40) if seed is None else seed
    begun = told = time.monotonic()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rounds = 0
    async with targets.site() as site:
        while True:
            try:
                await one(first + rounds, site)
                await site.check_left()
                now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                assert (now - used) * 1024 < GROWTH, f"the process has grown by {now - used} KiB"
            except Exception:  # noqa: BLE001 - any of them is what is looked for
                traceback.print_exc()
                print(f"found by: scripts/fuzz 0 {first + rounds}")
                return 1
            rounds += 1
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(f"{rounds} rounds in {told - begun:.0f} s, at most {now // 1024} MiB", flush=True)
            if time.monotonic() - begun >= seconds:
                print(f"{rounds} rounds from seed {first}: nothing found")
                return 0


if __name__ == "__main__":
    given = [float(sys.argv[1]) if len(sys.argv) > 1 else 60.0]
    sys.exit(uvloop.run(main(given[0], int(sys.argv[2]) if len(sys.argv) > 2 else None)))
