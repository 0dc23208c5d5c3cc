"""The tables that every database context has beside its service's own. Queries stand where the tables are used."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, Uuid, text

from fireside.runtime.durable.types import BigSequence, UtcDateTime

durable_metadata = MetaData()

events = Table(
    "durable_events",
    durable_metadata,
    Column("sequence", BigSequence, primary_key=True, autoincrement=False),
    Column("id", Uuid, nullable=False, unique=True),
    Column("topic", String(200), nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("aggregate_version", BigSequence, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("actor_id", Uuid),
    Column("request_id", String(200), nullable=False),
    Column("payload", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("published_at", UtcDateTime),
    Index("durable_events_aggregate", "aggregate_id", "aggregate_version", unique=True),
    Index("durable_events_topic", "topic", "sequence"),
)
"""The event log, which is the outbox and the audit trail too: only `published_at` is ever changed."""

event_head = Table(
    "durable_event_head",
    durable_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("service", String(200), nullable=False),
    Column("sequence", BigSequence, nullable=False),
    Column("hash", String(64), nullable=False),
)
"""One row: whose log this is and where it ends. Locked while entries are added, so that they have no gaps."""

relay_cursors = Table(
    "durable_relay_cursors",
    durable_metadata,
    Column("destination", String(200), primary_key=True),
    Column("sequence", BigSequence, nullable=False),
)
"""How far each destination of the event stream has been given the log."""

inbox = Table(
    "durable_inbox",
    durable_metadata,
    Column("position", BigSequence, primary_key=True),
    Column("consumer_group", String(200), nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("source", String(200), nullable=False),
    Column("topic", String(200), nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("aggregate_version", BigSequence, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("actor_id", Uuid),
    Column("request_id", String(200), nullable=False),
    Column("payload", Text),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("run_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("handled_at", UtcDateTime),
    Index("durable_inbox_once", "consumer_group", "event_id", unique=True),
    Index(
        "durable_inbox_pending",
        "consumer_group",
        "aggregate_id",
        "position",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    sqlite_autoincrement=True,
)
"""Facts received, in order of arrival. A row stays when the fact is handled, so that it takes effect once."""

jobs = Table(
    "durable_jobs",
    durable_metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", String(200), nullable=False),
    Column("key", String(500)),
    Column("owner_id", Uuid),
    Column("request_id", String(200), nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("percent", Float, nullable=False),
    Column("stage", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("result", Text),
    Column("error", Text),
    Column("checkpoint", Text),
    Column("attempts", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("run_at", UtcDateTime, nullable=False),
    Column("lease_node", String(200)),
    Column("lease_boot", Uuid),
    Column("lease_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Index("durable_jobs_state", "state", "run_at"),
    Index("durable_jobs_owner", "owner_id", "created_at"),
    Index("durable_jobs_created", "created_at"),
)
"""Long work. States: queued, running, succeeded, failed, cancelled."""

dead_letters = Table(
    "durable_dead_letters",
    durable_metadata,
    Column("id", Uuid, primary_key=True),
    Column("type", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("consumer_group", String(200), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("redriven_at", UtcDateTime),
    Column("redriven_by", Uuid),
    Index("durable_dead_letters_open", "redriven_at", "id"),
)
"""Jobs and facts that were given up; kept after they were driven again, as history."""
