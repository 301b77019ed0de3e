"""Every metric: its name, what it counts, its labels. Parts count in batches, never per message.

Out: `/metrics` in Prometheus' text format, and the flow on the page. docs/metrics.md is written from this file.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# fmt: off
# One line a metric: this is the table of metrics.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """One process's metrics. Parts get this object; there is no global one.

    received = accepted + rejected + duplicate + failed, once nothing is waiting.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"headwater_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"headwater_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"headwater_{name}", text, labels, registry=registry, buckets=_SECONDS)

        self.received = counter("received", "Messages that came in at the front door.", "transport")
        self.accepted = counter("accepted", "Messages that are durably on the log.", "transport")
        self.rejected = counter("rejected", "Messages that were not valid; they are on the topic `rejected`.", "transport", "reason")
        self.duplicate = counter("duplicate", "Messages recognised at the front door as logged before, and acknowledged.", "transport")
        self.failed = counter("failed", "Messages the log could not take in time; the sender was told to send again.", "transport")
        self.refused = counter("refused", "Connections and requests refused for who they are.", "transport", "reason")
        self.waiting = gauge("waiting", "Messages that wait for the log now.")
        self.append_seconds = histogram("append_seconds", "From handing a batch to the log until it is durable.", "topic")
        self.connections = gauge("connections", "Open connections.", "transport")
        self.tls_failed = counter("tls_failed", "Connections whose TLS handshake came to nothing: handshake, certificate, gone (or out of time), full.", "transport", "reason")
        self.mqtt_closed = counter("mqtt_closed", "MQTT connections that this side ended or refused, by reason code.", "reason")
        self.throttled = counter("throttled", "Times that someone had to wait because of a quota: a socket was not read, a bridge's broker was acknowledged later, or HTTP said 429.", "transport")
        self.throttled_connects = counter("throttled_connects", "CONNECTs refused because they came too fast, of one client or of all.")
        self.blocked = counter("blocked", "Connections refused or ended because their address is blocked.", "transport")
        self.mqtt_delivered = counter("mqtt_delivered", "Messages sent to MQTT subscribers.")
        self.mqtt_sessions = gauge("mqtt_sessions", "Sessions that outlive their connection, of all gateways.")
        self.mqtt_retained = gauge("mqtt_retained", "Retained messages in the memory of this gateway.")
        self.mqtt_appended = counter("mqtt_appended", "Entries appended beside messages, by the MQTT endpoint and for commands: retained, sessions, routed, commands, shadows.", "topic")
        self.mqtt_append_failed = counter("mqtt_append_failed", "Such entries that the log did not take in time.", "topic")
        self.mqtt_undelivered = counter("mqtt_undelivered", "Messages not sent to an MQTT subscriber: it was too slow, they expired, were too large for it, or more than may wait for its session.", "reason")
        self.selector_taken = counter("selector_taken", "Messages the selector has looked at.")
        self.selector_duplicate = counter("selector_duplicate", "Messages the selector recognised as repeated.")
        self.selector_late = counter("selector_late", "Messages older than the newest of their device.")
        self.selected = counter("selected", "Candidate records emitted.", "rule")
        self.checkpoints = counter("checkpoints", "Selection checkpoints written.")
        self.offered = counter("store_offered", "Records offered to a store.", "store", "topic")
        self.written = counter("store_written", "Records a store has made durable.", "store", "topic")
        self.skipped = counter("store_skipped", "Records a store had already applied.", "store", "topic")
        self.quarantined = counter("store_quarantined", "Records a store can never take; they are on `rejected`.", "store", "topic")
        self.retries = counter("store_retries", "Writes tried again because a store was unavailable.", "store")
        self.write_seconds = histogram("store_write_seconds", "How long a store took to make a batch durable.", "store")
        self.batch_records = gauge("store_batch_records", "Records in the latest batch.", "store")
        self.busy = counter("worker_busy_seconds", "Seconds that the workers of a group spent on entries, not waiting for them.", "group")
        self.lag = gauge("lag", "Entries a group has yet to take, by partition: of the partitions that this process has.", "group", "topic", "partition")
        self.group_lag = gauge("group_lag", "Entries a group has yet to take, by partition, whoever has it: from the API of the stack alone.", "group", "topic", "partition")
        self.members = gauge("group_members", "Workers of a group that run, in all processes: from the API of the stack alone.", "group")
        self.wanted = gauge("consumers_wanted", "Consumer processes that a group's load asks for: from the API of the stack alone.", "group")
        self.service_log_written = counter("service_log_written", "Lines of the service log put into the lake's place.")
        self.service_log_dropped = counter("service_log_dropped", "Lines of the service log that found no room while the lake's place was away; standard error had them.")
        self.audit_log_written = counter("audit_log_written", "Changes of the registry put into the audit log in the lake's place.")

    # fmt: on
    def text(self) -> bytes:
        """Everything, in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)

    def sample(self, name: str, **labels: str) -> float:
        """The sum over all label sets that contain `labels`; 0 if there is none. For the page and tests."""
        total = 0.0
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == f"headwater_{name}" and labels.items() <= sample.labels.items():
                    total += sample.value
        return total
