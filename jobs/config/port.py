"""The settings of the pages' port: where it can be reached, and by whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from jobs.config.fields import NO_UNIT, Section, Text, setting
from jobs.config.secrets import fill_in

LOCAL = "127.0.0.1"


class PortSettings(Section):
    """Where the pages can be reached, and by whom."""

    port: Annotated[int, Field(strict=True, ge=0, le=65535)] | None = setting(
        8756,
        "port of the pages and metrics; 0: any free port; null: none",
        unit=NO_UNIT,
    )
    address: Text = setting(
        LOCAL,
        "where the pages can be reached; 127.0.0.1: from this machine only",
        more="`0.0.0.0` is every address of this machine. Any but this machine's own needs "
        "`password_hash` and `certificate` "
        "([The pages](../guide/pages.md#from-other-machines)).",
    )
    password_hash: Annotated[Text | None, Field(repr=False)] = setting(
        None,
        "who has this password may look and change; null: no login, a token in the address",
        more="`culling serve --hash-password` makes the hash.",
    )
    look_password_hash: Annotated[Text | None, Field(repr=False)] = setting(
        None, "who has this password may look, not change", more="Needs `password_hash` as well."
    )
    certificate: Text | None = setting(
        None, "file of the TLS certificate (PEM), with those between it and the root"
    )
    certificate_key: Text | None = setting(
        None, "file of its private key; null: it is in `certificate`"
    )
    proxy: Text | None = setting(
        None,
        "https://NAME/ at which a reverse proxy on this machine serves the pages",
        more="The proxy does TLS, keeps the header `Host` and adds to `X-Forwarded-For`.",
    )

    @field_validator("password_hash", "look_password_hash")
    @classmethod
    def _is_a_hash(cls, value: str | None, info: ValidationInfo) -> str | None:
        context = info.context or {}
        if value is None or context.get("as_written", False):
            return value
        filled = fill_in(value, context.get("folder", Path()))
        if not filled.startswith("$argon2id$"):
            message = "must be a hash that `culling serve --hash-password` made, not a password"
            raise ValueError(message)
        return filled

    @field_validator("certificate", "certificate_key")
    @classmethod
    def _beside_the_file(cls, path: str | None, info: ValidationInfo) -> str | None:
        context = info.context or {}
        if path is None or context.get("as_written", False):
            return path
        return str(context.get("folder", Path()) / path)

    @field_validator("proxy")
    @classmethod
    def _is_an_address(cls, proxy: str | None) -> str | None:
        if proxy is not None and not re.fullmatch(r"https://[A-Za-z0-9.-]+(:\d{1,5})?/", proxy):
            message = "must be an address such as https://cameras.example.org/"
            raise ValueError(message)
        return proxy

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        """What strangers can reach has a password, and nobody reads along."""
        wants = [key for key in ("look_password_hash", "proxy") if getattr(self, key) is not None]
        if not self.is_loopback:
            wants.append("address")
        if self.password_hash is None and wants:
            message = (
                f"{wants[-1]}: needs service.password_hash: other people can reach the pages then; "
                "make one by `culling serve --hash-password`"
            )
            raise ValueError(message)
        if not self.is_loopback and self.certificate is None:
            message = (
                f"address: {self.address} needs service.certificate: without TLS anybody on the "
                f"way reads the password; behind a proxy on this machine leave it at {LOCAL}"
            )
            raise ValueError(message)
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the pages by themselves."""
        return self.address in (LOCAL, "::1", "localhost")

    @property
    def is_encrypted(self) -> bool:
        """Whether browsers see the pages by TLS."""
        return self.certificate is not None or self.proxy is not None

    @property
    def password_hashes(self) -> dict[Literal["look", "change"], str]:
        """By what they allow."""
        found: dict[Literal["look", "change"], str | None] = {
            "change": self.password_hash,
            "look": self.look_password_hash,
        }
        return {role: known for role, known in found.items() if known is not None}
