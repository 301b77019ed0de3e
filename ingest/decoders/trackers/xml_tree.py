"""Small XML documents as makers' web services post them, read without any of what makes XML dangerous.

In: bytes. Out: an `Element`; or `Rejected`. Entities cannot be declared, because a document type is refused; nothing
is loaded; depth and number of elements are bounded.
"""

from xml.parsers import expat

import msgspec

from headwater.errors import Rejected

DEPTH = 32
ELEMENTS = 50_000


class Element(msgspec.Struct):
    """A name without its namespace's prefix, attributes, the texts in it, and the elements in it."""

    name: str
    attributes: dict[str, str]
    words: list[str]
    inner: "list[Element]"

    @property
    def text(self) -> str:
        """What stands in it, without the white space around."""
        return "".join(self.words).strip()

    def all(self, name: str) -> "list[Element]":
        """The elements of this name, however deep, in order; those in them are not looked at."""
        found: list[Element] = []
        waiting = self.inner[::-1]
        while waiting:
            one = waiting.pop()
            if one.name == name:
                found.append(one)
            else:
                waiting.extend(reversed(one.inner))
        return found

    def values(self) -> dict[str, str]:
        """The texts of what is directly in it, by name."""
        return {one.name: one.text for one in self.inner if not one.inner}


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self.open: list[Element] = []
        self.count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if self.count > ELEMENTS:
            raise Rejected("too_large", f"a document has at most {ELEMENTS:,} elements")
        if len(self.open) >= DEPTH:
            raise Rejected("too_deep", f"elements are nested more than {DEPTH} deep")
        element = Element(name.rpartition(":")[2], attributes, [], [])
        if self.open:
            self.open[-1].inner.append(element)
        else:
            self.root = element
        self.open.append(element)

    def end(self, name: str) -> None:
        del name
        self.open.pop()

    def text(self, words: str) -> None:
        self.open[-1].words.append(words)

    def refuse(self, *about: object) -> None:
        del about
        raise Rejected("unsupported", "a document type is not read: send the XML without DOCTYPE and entities")


def read_xml(data: bytes) -> Element:
    """The outermost element. Raises `Rejected`."""
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse
    parser.EntityDeclHandler = builder.refuse
    try:
        parser.Parse(data, True)  # noqa: FBT003 - the parser takes it by place only
    except expat.ExpatError as error:
        raise Rejected("bad_shape", f"not XML: {error}") from None
    except (LookupError, ValueError):
        raise Rejected("bad_encoding", "the XML's encoding is not known here: send UTF-8") from None
    if builder.root is None:
        raise Rejected("bad_shape", "not XML: there is no element")
    return builder.root
