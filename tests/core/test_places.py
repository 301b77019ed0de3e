"""Boxes around a circle: nothing within the radius is ever left out, at the poles and the antimeridian too."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.places import EARTH_RADIUS, Box, boxes, distance

LATS = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 0.0, 89.999999, 90.0]))
LONS = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 0.0, 179.999999, 180.0]))
HALF_ROUND = 20_015_115.0


@given(here=st.tuples(LATS, LONS), there=st.tuples(LATS, LONS), more=st.floats(0, 1e6))
@example(here=(89.9, 0.0), there=(89.9, 180.0), more=0.0)
@example(here=(0.0, 179.9), there=(0.0, -179.9), more=0.0)
@example(here=(0.0, 180.0), there=(0.0, -180.0), more=0.0)
@example(here=(90.0, 0.0), there=(-90.0, 0.0), more=0.0)
def test_what_lies_within_the_radius_lies_in_a_box(
    here: tuple[float, float], there: tuple[float, float], more: float
) -> None:
    inside = boxes(*here, distance(*here, *there) + more)
    assert any(box.south <= there[0] <= box.north and box.west <= there[1] <= box.east for box in inside)


def test_a_box_is_hardly_larger_than_its_circle() -> None:
    (box,) = boxes(50.0, 10.0, 1000.0)
    degree = EARTH_RADIUS * 3.141592653589793 / 180
    assert (box.north - box.south) * degree == pytest.approx(2000, rel=0.01)
    assert distance(50.0, box.west, 50.0, box.east) == pytest.approx(2000, rel=0.01)


def test_at_the_antimeridian_there_are_two_and_at_a_pole_one_all_around() -> None:
    assert [(round(box.west), round(box.east)) for box in boxes(0.0, 179.0, 222_390.0)] == [(177, 180), (-180, -179)]
    assert boxes(89.0, 5.0, HALF_ROUND) == [Box(-90.0, 90.0, -180.0, 180.0)]


def test_no_radius_no_box() -> None:
    assert boxes(0.0, 0.0, -1.0) == []
    assert boxes(0.0, 0.0, float("nan")) == []
