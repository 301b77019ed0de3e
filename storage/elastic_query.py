"""A question in Elasticsearch's words.

In: terms, span, circle, order, where to go on. Out: the body of a `_search`. All of it filters, nothing scores.
"""

from collections.abc import Sequence

from storage.contract import Circle, Span
from storage.search_words import Wanted

_WHOLE_EARTH = 20_000_000.0
_SLACK = 1.001
"""The server measures on stored points of its own precision: it gives a little more, and we measure again."""


def question(asked: Sequence[Wanted], span: Span, within: Circle | None) -> dict[str, object]:
    """The conditions. Only candidates have `micros`."""
    bounds = {key: at for key, at in (("gte", span.start), ("lt", span.end)) if at is not None}
    conditions: list[dict[str, object]] = [{"range": {"micros": bounds}} if bounds else {"exists": {"field": "micros"}}]
    conditions += [_term(one) for one in asked]
    if within is not None:
        conditions.append(_circle(within))
    return {"bool": {"filter": conditions}}


def page(query: object, size: int, after: tuple[int, str] | None, *, newest_first: bool) -> dict[str, object]:
    """One page, in the order (micros, id)."""
    order = "desc" if newest_first else "asc"
    body: dict[str, object] = {
        "query": query,
        "size": size,
        "sort": [{"micros": order}, {"id": order}],
        "track_total_hits": False,
    }
    if after is not None:
        body["search_after"] = list(after)
    return body


def _term(one: Wanted) -> dict[str, object]:
    return {"prefix" if one.prefix else "term": {"pairs" if one.pair else "words": {"value": one.text}}}


def _circle(circle: Circle) -> dict[str, object]:
    radius = circle.radius * _SLACK + 10
    if radius > _WHOLE_EARTH:
        return {"exists": {"field": "place"}}
    return {"geo_distance": {"distance": f"{radius}m", "place": {"lat": circle.lat, "lon": circle.lon}}}
