"""The settings of the embeddings service: the models inside Fireside, and those of servers."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from fireside.contracts.model_addresses import ServerUrl


class EmbeddingFolderSettings(BaseModel):
    """An embedding model of the BERT family in a folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="What the model is called.")
    path: Path = Field(description="Its folder, with config.json, model.safetensors and tokenizer.json.")
    version: str = Field(default="1", min_length=1, max_length=50, description="Another one is another model.")


class EmbeddingServerSettings(BaseModel):
    """An embedding model of a server: Ollama, vLLM, OpenAI and others that have OpenAI's `/v1/embeddings`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: ServerUrl = Field(description="Where the server is, without the /v1 at the end.")
    model: str = Field(min_length=1, max_length=200, description="The model's name there.")
    name: str = Field(default="", max_length=200, description="What it is called here; as there when empty.")
    version: str = Field(default="1", min_length=1, max_length=50, description="Another one is another model.")
    dimensions: int = Field(ge=1, le=65536, description="Length of its vectors.")
    max_tokens: int = Field(default=512, gt=0, description="Tokens of a text that it reads.")
    api: Literal["openai", "azure", "gemini"] = Field(default="openai", description="What the server speaks.")
    api_key: SecretStr = Field(default=SecretStr(""), description="Its key; empty for none.")
    batch_texts: int = Field(default=64, ge=1, le=2048, description="Most texts of one request to it.")
    parallel: int = Field(default=2, ge=1, le=64, description="Most requests to it at once.")


class EmbeddingsSettings(BaseSettings):
    """How texts are embedded."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_EMBEDDINGS_", frozen=True)

    threads: int = Field(default=0, ge=0, description="Processor threads of an embedding model; 0 lets it choose.")
    warm_up: bool = Field(
        default=True, description="Load the default model when the node starts, not with the first text."
    )
    cache_entries: int = Field(default=10_000, ge=0, description="Most texts whose vectors are kept in memory.")
    cache_ttl_s: float = Field(default=86_400.0, gt=0, description="How long a vector is kept, in seconds.")
    warm_texts: int = Field(
        default=4000,
        ge=0,
        description="Most texts whose vectors are loaded when a node starts, of those that came again within a day.",
    )
    folders: tuple[EmbeddingFolderSettings, ...] = Field(
        default=(),
        description='Further models in folders, as JSON: [{"name": "bge-small-en", "path": "/models/bge-small-en"}].',
    )
    servers: tuple[EmbeddingServerSettings, ...] = Field(
        default=(),
        description="Further models of servers, as JSON: "
        '[{"url": "http://host:11434", "model": "nomic-embed-text", "dimensions": 768}].',
    )
