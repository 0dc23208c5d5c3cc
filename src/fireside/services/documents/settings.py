"""What can be set about documents."""

from typing import ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from fireside.ports.document_parser import ParseLimits

_MEGABYTE = 1024**2


class DocumentsSettings(BaseSettings):
    """Limits of uploads, of reading files and of indexing."""

    model_config = SettingsConfigDict(env_prefix="FIRESIDE_DOCUMENTS_", frozen=True)
    live: ClassVar = frozenset(
        {
            "max_file_bytes",
            "max_request_files",
            "upload_ttl_s",
            "parse_timeout_s",
            "parse_memory_bytes",
            "parse_expanded_bytes",
            "parse_text_chars",
            "index_files_at_once",
            "index_groups_at_once",
            "index_chunks_at_once",
            "search_candidates",
            "search_cache_ttl_s",
            "embed_query_timeout_s",
            "index_handover_s",
        }
    )

    max_file_bytes: int = Field(default=100 * _MEGABYTE, gt=0, description="Largest file, in bytes.")
    max_request_files: int = Field(default=1000, gt=0, description="Most files of one upload.")
    upload_ttl_s: float = Field(
        default=3600.0, gt=0, description="Seconds after which a received file is forgotten that was never added."
    )
    parse_timeout_s: float = Field(default=120.0, gt=0, description="Longest time for reading one file, in seconds.")
    parse_memory_bytes: int = Field(
        default=2048 * _MEGABYTE, gt=0, description="Most memory for reading one file, in bytes."
    )
    parse_expanded_bytes: int = Field(
        default=512 * _MEGABYTE, gt=0, description="Most bytes that an Office file may unpack to."
    )
    parse_text_chars: int = Field(default=100_000_000, gt=0, description="Longest text of one document, in characters.")
    index_files_at_once: int = Field(
        default=16, gt=0, description="Small files that are read, embedded and stored together."
    )
    index_groups_at_once: int = Field(
        default=3, gt=0, description="Groups of files in the works at the same time, so that the embedder never waits."
    )
    index_chunks_at_once: int = Field(default=64, gt=0, description="Chunks of a large file embedded together.")
    search_candidates: int = Field(
        default=100, ge=1, le=1000, description="Chunks that each way of searching contributes before ranking."
    )
    search_cache_ttl_s: float = Field(
        default=3600.0, gt=0, description="How long what the index found for a search is kept, in seconds."
    )
    warm_searches: int = Field(
        default=100,
        ge=0,
        description="Most searches that are made when a node starts and when the cache was emptied, of those that came "
        "again within a day; 0 for none.",
    )
    embed_query_timeout_s: float = Field(
        default=3.0, gt=0, description="Longest wait for a query's vector; then the search goes on by keywords."
    )
    index_handover_s: float = Field(
        default=5.0,
        ge=0,
        description="How long the index of the last embedding model is kept once another one is searched, in seconds.",
    )

    @property
    def parse_limits(self) -> ParseLimits:
        """What reading one file may cost."""
        return ParseLimits(
            seconds=self.parse_timeout_s,
            memory_bytes=self.parse_memory_bytes,
            expanded_bytes=self.parse_expanded_bytes,
            text_chars=self.parse_text_chars,
        )
