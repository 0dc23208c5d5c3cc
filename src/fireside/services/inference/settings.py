"""The settings of the inference service: the embedded engine, and further servers of models."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fireside.contracts.inference import LONGEST_ANSWER_S, AnswerStyle
from fireside.contracts.model_addresses import ServerUrl

ModelApi = Literal["openai", "azure", "gemini", "anthropic"]


class ModelServerSettings(BaseModel):
    """One server of models: OpenAI, Ollama, vLLM, llama-server and others that speak OpenAI's API; Anthropic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="", description="What it is called; one of its models stands for it when empty.")
    url: ServerUrl = Field(description="Where it is, without the /v1 at the end.")
    api: ModelApi = Field(
        default="openai", description="What it speaks: openai, azure or gemini for their ways of it, anthropic."
    )
    models: tuple[str, ...] = Field(min_length=1, description="Names of its models that Fireside offers.")
    api_key: SecretStr = Field(default=SecretStr(""), description="Its key; empty for none.")
    answer_style: AnswerStyle = Field(default="write", description="Whether its models write or only quote.")
    context_tokens: int = Field(default=32768, gt=0, description="The window of its models, in tokens.")
    parallel: int | None = Field(
        default=None, gt=0, description="How many requests it gets at once; any number if null."
    )
    first_word_s: float = Field(
        default=45.0, gt=0, le=LONGEST_ANSWER_S, description="Longest wait for the first word of an answer, in s."
    )
    answer_s: float = Field(
        default=300.0, gt=0, le=LONGEST_ANSWER_S, description="Longest time for a whole answer, in s."
    )


class InferenceSettings(BaseSettings):
    """How language models are run and reached."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_INFERENCE_", frozen=True)
    live: ClassVar = frozenset({"urls"})

    engine: Literal["embedded", "off"] = Field(
        default="embedded", description="Whether the model engine inside Fireside runs."
    )
    model: str = Field(default="smollm2-135m-instruct", description="Name of the embedded engine's model.")
    model_path: Path | None = Field(
        default=None, description="A GGUF file for the embedded engine; the installed default model when empty."
    )
    answer_style: AnswerStyle = Field(
        default="quote", description="How the embedded model answers: quote passages, or write."
    )
    context_tokens: int = Field(default=6144, gt=0, description="The embedded engine's window, in tokens.")
    parallel: int = Field(default=4, gt=0, description="How many requests the embedded engine generates at once.")
    threads: int = Field(default=0, ge=0, description="Its processor threads; 0 for all cores.")
    prompt_cache_mib: int = Field(default=64, ge=0, description="Its memory for prompts likely to come again, in MiB.")
    memory_bytes: int = Field(
        default=0,
        ge=0,
        description="Memory for the models that are loaded, in bytes; 0 for two thirds of what the machine has.",
    )
    keep_alive_s: float = Field(
        default=300.0,
        ge=0,
        description="How long a model stays loaded that nobody uses, in s; the default stays.",
    )
    max_waiting: int = Field(
        default=100, ge=0, description="How many requests may wait for a place of one engine or server."
    )
    load_wait_s: float = Field(default=30.0, gt=0, description="Longest wait of a request for a model to load, in s.")
    servers: tuple[ModelServerSettings, ...] = Field(
        default=(),
        description='Further servers, as JSON: [{"url": "http://host:11434", "models": ["llama3.2"]}]; asked first.',
    )
    urls: dict[str, ServerUrl] = Field(
        default_factory=dict,
        description="Present addresses of servers that have moved, by the name of the server or of one of its models, "
        'as JSON: {"llama3.2": "http://other:11434"}.',
    )

    @field_validator("urls")
    @classmethod
    def _are_of_known_servers(cls, urls: dict[str, ServerUrl], info: ValidationInfo) -> dict[str, ServerUrl]:
        servers: tuple[ModelServerSettings, ...] = info.data.get("servers", ())
        known = sorted({name for server in servers for name in (server.name, *server.models) if name})
        for name in urls:
            if name not in known:
                raise ValueError(f"no server of FIRESIDE_INFERENCE_SERVERS is or has {name!r} ({', '.join(known)})")
        return urls
