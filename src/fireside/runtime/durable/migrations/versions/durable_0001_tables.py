"""Event log, relay cursors, inbox, jobs and dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "durable_0001"
down_revision = None
branch_labels = ("durable",)
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    _event_log()
    _inbox()
    _jobs()
    _dead_letters()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("dead_letters", "jobs", "inbox", "relay_cursors", "event_head", "events"):
        op.drop_table(f"durable_{table}")


def _event_log() -> None:
    op.create_table(
        "durable_events",
        sa.Column("sequence", _COUNTER, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Uuid, nullable=False, unique=True),
        sa.Column("topic", sa.String(200), nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_version", _COUNTER, nullable=False),
        sa.Column("occurred_at", _MOMENT, nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("prev_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("published_at", _MOMENT),
    )
    op.create_index("durable_events_aggregate", "durable_events", ["aggregate_id", "aggregate_version"], unique=True)
    op.create_index("durable_events_topic", "durable_events", ["topic", "sequence"])
    op.create_table(
        "durable_event_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("service", sa.String(200), nullable=False),
        sa.Column("sequence", _COUNTER, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "durable_relay_cursors",
        sa.Column("destination", sa.String(200), primary_key=True),
        sa.Column("sequence", _COUNTER, nullable=False),
    )


def _inbox() -> None:
    op.create_table(
        "durable_inbox",
        sa.Column("position", _COUNTER, primary_key=True),
        sa.Column("consumer_group", sa.String(200), nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("topic", sa.String(200), nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_version", _COUNTER, nullable=False),
        sa.Column("occurred_at", _MOMENT, nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("payload", sa.Text),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("run_at", _MOMENT, nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("handled_at", _MOMENT),
        sqlite_autoincrement=True,
    )
    op.create_index("durable_inbox_once", "durable_inbox", ["consumer_group", "event_id"], unique=True)
    pending = sa.text("state = 'pending'")
    op.create_index(
        "durable_inbox_pending",
        "durable_inbox",
        ["consumer_group", "aggregate_id", "position"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def _jobs() -> None:
    op.create_table(
        "durable_jobs",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.String(200), nullable=False),
        sa.Column("key", sa.String(500)),
        sa.Column("owner_id", sa.Uuid),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("percent", sa.Float, nullable=False),
        sa.Column("stage", sa.String(200), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("checkpoint", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("interruptions", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("run_at", _MOMENT, nullable=False),
        sa.Column("lease_node", sa.String(200)),
        sa.Column("lease_boot", sa.Uuid),
        sa.Column("lease_until", _MOMENT),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT),
        sa.Column("finished_at", _MOMENT),
    )
    op.create_index("durable_jobs_state", "durable_jobs", ["state", "run_at"])
    op.create_index("durable_jobs_owner", "durable_jobs", ["owner_id", "created_at"])
    op.create_index("durable_jobs_created", "durable_jobs", ["created_at"])


def _dead_letters() -> None:
    op.create_table(
        "durable_dead_letters",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("subject_id", sa.Uuid, nullable=False),
        sa.Column("consumer_group", sa.String(200), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("occurred_at", _MOMENT, nullable=False),
        sa.Column("redriven_at", _MOMENT),
        sa.Column("redriven_by", sa.Uuid),
    )
    op.create_index("durable_dead_letters_open", "durable_dead_letters", ["redriven_at", "id"])
