"""What a candidate can be found by, and what a question asks for: the same in every backend, by construction.

In: candidates, or the `q` of a question. Out: lower-cased words and `field:value` pairs, which a backend stores as they
are and compares as they are; terms. Backends do no analysis of their own, so all find the same set.

Words are runs of letters and digits, NFKC, case folded. A candidate has the words of its device, kind, rule, reasons,
names of fields, and texts; and the pairs of its fields and texts, of `device`, `rule`, `kind` and `via`.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from headwater.message import Candidate, Number
from storage.contract import Term

MOST_TERMS = 32
LONGEST = 256
"""Characters of a word or value that count; what is longer is cut, in both the candidate and the question."""

_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'(?:(?P<field>[^\s:"*]+):)?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"*]+))?(?P<prefix>\*?)(?=\s|$)')


class Words(NamedTuple):
    """What a candidate can be found by, each once and sorted. `pairs`: "field:value", value as a whole."""

    words: list[str]
    pairs: list[str]


@lru_cache(4096)  # names of devices, rules and fields come again and again
def folded(text: str) -> str:
    """Text as it is compared."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def written(value: Number | str) -> str:
    """A field's value as it is compared: `on` is `true`, 21.0 is `21`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return folded(str(value))[:LONGEST]


def words_of(candidate: Candidate) -> Words:
    """The words and pairs of a candidate."""
    message = candidate.message
    said = [candidate.device, candidate.rule, candidate.kind, message.kind, message.via, *candidate.reasons]
    said += [*message.fields, *message.texts, *message.texts.values()]
    words = {word for text in said for word in split(text)}
    pairs = {pair(name, value) for values in (message.fields, message.texts) for name, value in values.items()}
    pairs |= {pair("device", candidate.device), pair("rule", candidate.rule), pair("kind", message.kind)}
    pairs |= {pair("kind", candidate.kind)}
    if message.via:
        pairs.add(pair("via", message.via))
    return Words(sorted(words), sorted(pairs))


@lru_cache(4096)
def split(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(word[:LONGEST] for word in _WORD.findall(folded(text)))


def pair(field: str, value: Number | str) -> str:
    """A field and its value as one."""
    return f"{folded(field)[:LONGEST]}:{written(value)}"


def terms_of(question: str) -> list[Term]:
    """What a question asks for. Raises `ValueError`, with a sentence for the asker, where it cannot be understood."""
    terms: list[Term] = []
    at = 0
    question = question.strip()
    while at < len(question):
        found = _TERM.match(question, at)
        if found is None or found.end() == at:
            raise ValueError(f'cannot understand {question[at : at + 40]!r}: word, word*, field:value or "…"')
        terms += _terms(found)
        at = found.end()
        while at < len(question) and question[at].isspace():
            at += 1
    if not terms:
        raise ValueError("no word to search for: word, word*, field:value")
    if len(terms) > MOST_TERMS:
        raise ValueError(f"{len(terms)} terms; {MOST_TERMS} at most")
    return terms


def _terms(found: "re.Match[str]") -> Iterator[Term]:
    text = found["quoted"] if found["quoted"] is not None else found["plain"] or ""
    prefix = bool(found["prefix"])
    if found["field"] is not None:
        yield Term(_value(text), folded(found["field"])[:LONGEST], prefix)
        return
    words = list(split(text))
    for number, word in enumerate(words, 1):  # pump-7* is the word pump and a word that begins with 7
        yield Term(word, prefix=prefix and number == len(words))


def _value(text: str) -> str:
    """A value as it was asked for, in the form in which it is stored: 21.0 finds 21."""
    try:
        return (
            written(float(text))
            if re.fullmatch(r"[+-]?\d+(\.\d+)?", text) and len(text) < 16
            else folded(text)[:LONGEST]
        )
    except ValueError:
        return folded(text)[:LONGEST]


class Wanted(NamedTuple):
    """A term as it is compared with the stored words, or with the stored pairs."""

    text: str
    pair: bool
    prefix: bool


def wanted(terms: Iterable[Term]) -> list[Wanted] | None:
    """What a candidate must have to meet all the terms; None: no candidate can."""
    found: list[Wanted] = []
    for term in terms:
        if term.field:
            found.append(Wanted(f"{term.field}:{term.text}", pair=True, prefix=term.prefix))
        elif term.text:
            found.append(Wanted(term.text, pair=False, prefix=term.prefix))
        elif not term.prefix:  # a word without letters; as a prefix it is the beginning of every word
            return None
    return found
