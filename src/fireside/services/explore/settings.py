"""What can be set about models: where they come from, where they lie, and limits."""

from pathlib import Path

from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_GIGABYTE = 1024**3


class ExploreSettings(BaseSettings):
    """Discovering and installing models."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_EXPLORE_", frozen=True)

    folder: Path | None = Field(
        default=None,
        description="Where model files lie; `models` in FIRESIDE_HOME when empty. Nodes that run explore or inference "
        "need the same folder under the same path.",
    )
    import_folders: tuple[Path, ...] = Field(
        default=(), description="Folders that `file:` may import from, as JSON; `import` in FIRESIDE_HOME when empty."
    )
    hub_url: HttpUrl = Field(
        default=HttpUrl("https://huggingface.co"), description="The Hugging Face Hub, or a mirror."
    )
    hf_token: SecretStr = Field(default=SecretStr(""), description="Token for models of the Hub that need one.")
    registry_url: HttpUrl = Field(default=HttpUrl("https://registry.ollama.ai"), description="The Ollama registry.")
    index_url: HttpUrl = Field(default=HttpUrl("https://pypi.org/simple"), description="The package index of `pypi:`.")
    trusted_hosts: tuple[str, ...] = Field(
        default=("files.pythonhosted.org",),
        description="Hosts (`name` or `name:port`, as JSON) that models may come from though their address is not "
        "public; those of the URLs above are trusted too.",
    )
    rate_bytes_per_s: int = Field(
        default=0, ge=0, description="Most bytes a second that all downloads of a node take together; 0 for any."
    )
    broken_attempts: int = Field(
        default=8, ge=1, description="How often in a row a connection may break without a byte before an attempt fails."
    )
    broken_pause_s: float = Field(
        default=0.5, ge=0, description="Wait before the first reconnect, in seconds; doubles each time, up to 30."
    )
    reserve_bytes: int = Field(
        default=_GIGABYTE, ge=0, description="Memory, and room on the disk, that models leave to everything else."
    )
    context_tokens: int = Field(
        default=6144, gt=0, description="The window, in tokens, for which is counted whether a model fits."
    )
    stale_s: float = Field(
        default=7 * 24 * 3600.0,
        gt=0,
        description="Seconds after which a download is forgotten that nobody goes on with.",
    )
    cache_ttl_s: float = Field(
        default=3600.0,
        gt=0,
        description="How long what is known of the models here is cached, in seconds; a change counts at once.",
    )
