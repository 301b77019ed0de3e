"""Any packet that MQTT can carry, for hypothesis."""

from typing import Any

from hypothesis import strategies as st

from ingest.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reasons import ReasonCode as R

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
topics = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0+#"), min_size=1, max_size=20)
blobs = st.binary(max_size=40)
ids = st.integers(1, 65_535)
two = st.integers(0, 65_535)
four = st.integers(0, 2**32 - 1)
flag = st.integers(0, 1)
pairs = st.lists(st.tuples(texts, texts), max_size=4).map(tuple)
versions = st.sampled_from([4, 5])

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "payload_format_indicator": flag,
    "message_expiry_interval": four,
    "content_type": texts,
    "response_topic": topics,
    "correlation_data": blobs,
    "session_expiry_interval": four,
    "assigned_client_identifier": texts,
    "server_keep_alive": two,
    "request_problem_information": flag,
    "will_delay_interval": four,
    "request_response_information": flag,
    "response_information": texts,
    "server_reference": texts,
    "reason_string": texts,
    "receive_maximum": ids,
    "topic_alias_maximum": two,
    "maximum_qos": flag,
    "retain_available": flag,
    "user_properties": pairs,
    "maximum_packet_size": st.integers(1, 2**32 - 1),
    "wildcard_subscription_available": flag,
    "subscription_identifiers_available": flag,
    "shared_subscription_available": flag,
    "authentication_method": texts,
}
MESSAGE = ("payload_format_indicator", "message_expiry_interval", "content_type", "response_topic", "correlation_data", "user_properties")  # fmt: skip
REASON = ("reason_string", "user_properties")
CONNECT = ("session_expiry_interval", "request_problem_information", "request_response_information", "receive_maximum", "topic_alias_maximum", "maximum_packet_size", "user_properties", "authentication_method")  # fmt: skip
CONNACK = ("session_expiry_interval", "assigned_client_identifier", "server_keep_alive", "response_information", "server_reference", "reason_string", "receive_maximum", "topic_alias_maximum", "maximum_qos", "retain_available", "user_properties", "maximum_packet_size", "wildcard_subscription_available", "subscription_identifiers_available", "shared_subscription_available")  # fmt: skip


def properties(version: int, *names: str) -> st.SearchStrategy[Properties]:
    if version == 4:
        return st.just(NONE)
    return st.fixed_dictionaries({}, optional={name: _VALUES[name] for name in names}).map(
        lambda values: Properties(**values)
    )


def _answers(version: int, kind: type[Puback | Pubrec | Pubrel | Pubcomp], *codes: R) -> st.SearchStrategy[Packet]:
    code = st.sampled_from([R.SUCCESS, *codes]) if version == 5 else st.just(R.SUCCESS)
    return st.builds(kind, ids, code, properties(version, *REASON))


def wills(version: int) -> st.SearchStrategy[Will]:
    given = properties(version, *MESSAGE, "will_delay_interval")
    return st.builds(Will, topics, blobs, st.integers(0, 2), st.booleans(), given)


@st.composite
def connects(draw: st.DrawFn, version: int) -> Connect:
    username = draw(st.none() | texts)
    password = draw(st.none() | blobs) if version == 5 or username is not None else None
    return Connect(
        version,
        draw(texts),
        draw(st.booleans()),
        draw(two),
        username,
        password,
        draw(st.none() | wills(version)),
        draw(properties(version, *CONNECT)),
    )


@st.composite
def publishes(draw: st.DrawFn, version: int) -> Publish:
    qos = draw(st.integers(0, 2))
    flags = qos << 1 | draw(flag) | (draw(flag) << 3 if qos else 0)
    return Publish(draw(topics), draw(blobs), flags, draw(ids) if qos else 0, draw(properties(version, *MESSAGE)))


def subscriptions(version: int) -> st.SearchStrategy[Subscription]:
    if version == 4:
        return st.builds(Subscription, texts, st.integers(0, 2))
    plain = texts.filter(lambda text: not text.startswith("$share/"))
    return st.builds(
        Subscription, plain, st.integers(0, 2), st.booleans(), st.booleans(), retain_handling=st.integers(0, 2)
    )


def from_client(version: int) -> st.SearchStrategy[Packet]:
    """What a client sends once it is connected."""
    identifier = properties(version, "user_properties")
    leaving = st.sampled_from([R.SUCCESS, R.DISCONNECT_WITH_WILL_MESSAGE, R.UNSPECIFIED_ERROR])
    return st.one_of(
        publishes(version),
        _answers(version, Puback, R.QUOTA_EXCEEDED, R.PAYLOAD_FORMAT_INVALID),
        _answers(version, Pubrec, R.UNSPECIFIED_ERROR),
        _answers(version, Pubrel, R.PACKET_IDENTIFIER_NOT_FOUND),
        _answers(version, Pubcomp, R.PACKET_IDENTIFIER_NOT_FOUND),
        st.builds(Subscribe, ids, st.lists(subscriptions(version), min_size=1, max_size=4).map(tuple), identifier),
        st.builds(Unsubscribe, ids, st.lists(texts, min_size=1, max_size=4).map(tuple), identifier),
        st.just(Pingreq()),
        st.just(Disconnect()) if version == 4 else st.builds(Disconnect, leaving, properties(5, *REASON)),
        *([st.builds(Auth, st.just(R.CONTINUE_AUTHENTICATION), properties(5, *REASON))] if version == 5 else []),
    )


def from_server(version: int) -> st.SearchStrategy[Packet]:
    """What a server sends."""
    refusing = [R.UNSUPPORTED_PROTOCOL_VERSION, R.CLIENT_IDENTIFIER_NOT_VALID, R.SERVER_UNAVAILABLE, R.NOT_AUTHORIZED]
    codes = [R.SUCCESS, R.GRANTED_QOS_1, R.GRANTED_QOS_2, R.UNSPECIFIED_ERROR]
    ended = [R.SUCCESS, R.NO_SUBSCRIPTION_EXISTED]
    return st.one_of(
        publishes(version),
        st.builds(Connack, st.sampled_from([R.SUCCESS, *refusing]), st.booleans(), properties(version, *CONNACK)),
        st.builds(Suback, ids, st.lists(st.sampled_from(codes), max_size=4).map(tuple), properties(version, *REASON)),
        st.builds(Unsuback, ids)
        if version == 4
        else st.builds(Unsuback, ids, st.lists(st.sampled_from(ended), max_size=4).map(tuple), properties(5, *REASON)),
        _answers(version, Puback, R.NO_MATCHING_SUBSCRIBERS),
        st.just(Pingresp()),
    )
