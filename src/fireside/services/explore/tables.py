"""The tables of the explore service. Queries stand in `repository`."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, Uuid

from fireside.runtime.durable import UtcDateTime

metadata = MetaData()

models = Table(
    "installed_models",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("name_key", String(100), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("architecture", String(200), nullable=False),
    Column("family", String(200), nullable=False),
    Column("quantisation", String(20)),
    Column("parameters", BigInteger, nullable=False),
    Column("context_tokens", Integer),
    Column("kv_bytes_per_token", BigInteger),
    Column("answer_style", String(16), nullable=False),
    Column("licence", Text),
    Column("languages", Text, nullable=False),
    Column("categories", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("job_id", Uuid),
    Column("installed_by", Uuid),
    Column("installed_at", UtcDateTime, nullable=False),
    Column("kind", String(16), nullable=False, server_default="chat"),
    Index("installed_models_name", "name_key", unique=True),
    Index("installed_models_digest", "digest"),
)
"""Names of model files; several may mean one file. Lists are JSON; `name_key` is the name without case."""

files = Table(
    "model_files",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
)
"""Files that have a name; locked while one is added or the last is taken away."""

rules = Table(
    "model_rules",
    metadata,
    Column("name_key", String(100), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("roles", Text),
    Column("tags", Text),
    Column("is_default", Boolean, nullable=False),
    Column("run", Text),
    Column("updated_at", UtcDateTime, nullable=False),
)
"""What administrators said about a model, installed or named in the settings.

Lists and `run` are JSON; NULL is not said.
"""

pauses = Table("paused_installs", metadata, Column("job_id", Uuid, primary_key=True))
"""Installations that wait to be resumed."""

providers = Table(
    "model_providers",
    metadata,
    Column("name_key", String(50), primary_key=True),
    Column("facts", Text, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("key_end", String(4), nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
"""Providers of models. `facts` is JSON; `sealed_key` is empty without a key, and `key_end` all that is shown of it."""

chains = Table(
    "role_chains",
    metadata,
    Column("role", String(20), primary_key=True),
    Column("models", Text, nullable=False),
)
"""The models that answer for a role, in order, as JSON."""
