"""The settings of the store that several machines share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from jobs.config.fields import Section, Text, setting
from jobs.config.secrets import REFERENCE, fill_in
from streams.secret_words import keep_secret

Secret = Annotated[Text | None, Field(repr=False)]


class StorageSettings(Section):
    """Where frames and models are stored for all machines; without `url` only on this disk."""

    url: Secret = setting(
        None,
        "s3://BUCKET/FOLDER, which must exist; null: on this machine's disk only",
        more="Needs `pip install 'culling-pipeline[s3]'`. Another address that fsspec knows works "
        "too, such as `file:///mnt…`.",
    )
    endpoint: Secret = setting(
        None,
        "address of a store that is not Amazon's, such as https://s3.example.org",
        more="For MinIO, Ceph, Garage and others. Buckets are addressed by path "
        "(`https://s3.example.org/BUCKET/…`).",
    )
    access_key: Secret = setting(
        None,
        "${NAME} or ${file:PATH}; null: AWS_ACCESS_KEY_ID or the AWS profile",
        more="Never the key itself. `null` uses what AWS's own programs use: "
        "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or the profile `AWS_PROFILE` in "
        "`~/.aws`.",
    )
    secret_key: Secret = setting(
        None,
        "${NAME} or ${file:PATH}; null: AWS_SECRET_ACCESS_KEY or the AWS profile",
        more="As for `access_key`; give both or neither.",
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None, info: ValidationInfo) -> str | None:
        context = info.context or {}
        if url is None or context.get("as_written", False):
            return url
        filled = fill_in(url, context.get("folder", Path()))
        if not re.match(r"[a-z0-9+.-]+://", filled):
            message = "must be an address such as s3://BUCKET/FOLDER"
            raise ValueError(message)
        return filled

    @field_validator("endpoint")
    @classmethod
    def _is_a_web_address(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not re.match(r"https?://[^/]", endpoint):
            message = "must be the store's address, such as https://s3.example.org"
            raise ValueError(message)
        return endpoint

    @field_validator("access_key", "secret_key")
    @classmethod
    def _stands_elsewhere(cls, key: str | None, info: ValidationInfo) -> str | None:
        """A key in plain text could be read by everybody who can read the file."""
        if key is None:
            return None
        if not REFERENCE.fullmatch(key):
            keep_secret(key)
            message = "must be ${NAME}, an environment variable, or ${file:PATH}"
            raise ValueError(message)
        context = info.context or {}
        if context.get("as_written", False):
            return key
        filled = fill_in(key, context.get("folder", Path()))
        keep_secret(filled)
        return filled

    @model_validator(mode="after")
    def _has_both_keys(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            missing = "access_key" if self.access_key is None else "secret_key"
            message = f"{missing}: missing: give both keys, or neither (then AWS's own variables)"
            raise ValueError(message)
        return self
