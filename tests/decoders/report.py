"""The table of docs/devices.md: by family, how many samples decode, and how many say what their source says.

In: the samples. Out: rows. `python -m tests.decoders.report [FAMILY…]` prints it, with every sample that has not passed.
"""

import sys
from collections import Counter
from typing import NamedTuple

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Decoder
from tests.decoders.compare import Verdict, compare
from tests.decoders.expectations import expectation
from tests.decoders.lorawan import codecs
from tests.decoders.samples import CATALOGUE, Sample, families, samples


class Row(NamedTuple):
    """One family. `refusals`: reasons of what was rejected and how often. `failures`: id and verdict."""

    family: str
    samples: int
    decoded: int
    refusals: Counter[str]
    expecting: int
    passed: int
    failures: list[tuple[Sample, Verdict]]


def decoder_of(family: str) -> Decoder | None:
    """The decoder of a family of samples, None where there is none."""
    try:
        return CATALOGUE.named(family).decode
    except Rejected:
        return None


def decode(sample: Sample, decoder: Decoder) -> list[Message | Rejected] | Rejected:
    """What the decoder makes of it; a rejection is an answer, anything else that it raises is not."""
    try:
        return list(decoder(sample.payload()))
    except Rejected as error:
        return error


def row(family: str) -> Row:
    """All samples of a family; where there is no decoder, none of them decodes."""
    decoder = decoder_of(family)
    found = samples(family)
    refusals: Counter[str] = Counter()
    failures: list[tuple[Sample, Verdict]] = []
    decoded = expecting = passed = 0
    for sample in found:
        if family in codecs.FAMILIES:
            decoder = codecs.decoder_of(sample)
        made = Rejected("no_decoder", family) if decoder is None else decode(sample, decoder)
        for one in [made] if isinstance(made, Rejected) else made:
            if isinstance(one, Rejected):
                refusals[one.reason] += 1
        decoded += not isinstance(made, Rejected)
        wanted = expectation(sample)
        if wanted is None:
            continue
        expecting += 1
        verdict = compare(wanted, made)
        passed += verdict.passed
        if not verdict.passed:
            failures.append((sample, verdict))
    return Row(family, len(found), decoded, refusals, expecting, passed, failures)


def main(chosen: list[str]) -> None:
    """Print the rows of these families, or of all."""
    for family in chosen or families():
        one = row(family)
        reasons = ", ".join(f"{reason} {count}" for reason, count in one.refusals.most_common())
        print(f"{family:26} {one.samples:4} decoded {one.decoded:4}  expected {one.passed}/{one.expecting}  {reasons}")
        for sample, verdict in one.failures[: 40 if chosen else 0]:
            print(f"    {sample.id}: missing {verdict.missing} wrong {verdict.wrong} {verdict.refused}")


if __name__ == "__main__":
    main(sys.argv[1:])
