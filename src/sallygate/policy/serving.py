"""Policy sections of serving: address of the API, listeners, log and telemetry."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from sallygate.policy.fields import Count, Seconds, Section
from sallygate.policy.units import read_endpoint


class Health(Section):
    """Health checks of the upstreams."""

    path: str = Field(description="Path asked with GET; an answer below 400 is healthy.", pattern="^/")
    every: Seconds = Field(5.0, description="Seconds between questions.")
    unhealthy_after: Count = Field(3, description="Failures in a row until an upstream gets no requests.")


class UpstreamSection(Section):
    """Where the API is."""

    urls: list[str] = Field(
        description="One or more base URLs of the same API; requests are spread over the healthy ones.",
        min_length=1,
    )
    plain_http: Literal["refuse", "allow"] = Field(
        "refuse",
        description="`allow` must be written to send requests unencrypted to anything but this machine.",
    )
    connect: Seconds = Field(3.0, description="Longest wait for a connection; then 504.")
    first_byte: Seconds = Field(30.0, description="Longest wait for the head of the response; then 504.")
    idle: Seconds = Field(60.0, description="Longest pause within a response; then the connection is cut.")
    connections: Count = Field(
        256,
        description="Most connections to each upstream at once; a request that gets none within `connect` is answered 504.",
    )
    keep: Annotated[Seconds, Field(gt=0)] = Field(
        4.0,
        description="How long an idle connection is kept; write less than the API's own limit, so that no request meets a closing connection.",
    )
    age: Annotated[Seconds, Field(gt=0)] = Field(
        300.0, description="Longest use of a connection, so that the gate follows a change in DNS."
    )
    health: Health | None = Field(
        None, description="Active health checks; without them an upstream is judged by its connections."
    )
    preserve_host: bool = Field(False, description="Send the caller's `Host` instead of the upstream's own.")
    ca: str | None = Field(
        None,
        description="File of certificate authorities for `https:` upstreams; the system's by default.",
    )
    assertion: bool = Field(
        True,
        description="Send `X-Sallygate-Assertion`, a signed JWT by which the upstream can verify the identity headers.",
    )


class Certificate(Section):
    """Certificate and private key of a listener."""

    cert: str = Field(description="PEM file of the certificate and its chain.")
    key: str = Field(
        description="PEM file of the private key, or `credential:NAME` for one handed over by systemd (`LoadCredential=`)."
    )


class Listen(Section):
    """Where the gateway listens."""

    https: str = Field("127.0.0.1:8443", description="Address and port, `127.0.0.1:8443` or `[::1]:8443`.")
    http: str | None = Field(
        None,
        description="A plain HTTP listener that answers every request 403 with the reason; it never redirects or forwards a request.",
    )
    certificate: Certificate | None = Field(
        None,
        description="PEM files, or `development` (the default): a certificate authority in the state directory, for this machine only.",
    )
    management: str | None = Field(
        None,
        description="Plain HTTP for operators' programs, `127.0.0.1:8444`: `/livez`, `/readyz`, `/metrics`. Not for clients.",
    )
    backlog: Count = Field(1024, description="Connections waiting to be accepted.")
    stop_delay: Seconds = Field(
        0.0,
        description="At a stop, how long the gate still accepts requests while `/readyz` answers 503, so that a load balancer can stop sending.",
    )

    @field_validator("certificate", mode="before")
    @classmethod
    def _development(cls, value: object) -> object:
        return None if value == "development" else value

    @field_validator("https", "http", "management")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        if value is not None:
            read_endpoint(value)
        return value


class EventsSection(Section):
    """How events are stored."""

    retention: Seconds = Field(30 * 86400.0, description="How long events are kept; whole hours are removed at once.")
    queue: Count = Field(
        20_000,
        description="Events waiting to be written; above half of it ordinary ones are sampled, above all dropped and counted.",
    )


class LogSection(Section):
    """The operator's log, on standard error."""

    requests: Literal["refused", "all", "none"] = Field(
        "refused", description="Which requests get a line; of a flood, a line for many with their number."
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is `console` on a terminal and `json`, a line each, elsewhere."
    )
    level: Literal["info", "warning", "error"] = Field("info", description="The least severe lines written.")


class Telemetry(Section):
    """OpenTelemetry: metrics and traces sent to a collector. Needs the extra `sallygate[otel]`."""

    otlp: str = Field(
        description="The collector's OTLP over HTTP address, `http://127.0.0.1:4318`; `/v1/metrics` and `/v1/traces` are added.",
        pattern="^https?://",
    )
    every: Seconds = Field(30.0, description="Between two exports of metrics.")
    traces: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Share of requests whose span is exported, 0 to 1; those whose `traceparent` is sampled always are, when it is above 0.",
    )
    service: str = Field("sallygate", description="`service.name` of what is exported.")
    plain_http: Literal["refuse", "allow"] = Field(
        "refuse", description="`allow` must be written to send unencrypted to anything but this machine."
    )

    @field_validator("traces", mode="before")
    @classmethod
    def _share(cls, value: object) -> object:
        return float(value) if isinstance(value, str) and value.replace(".", "", 1).isdigit() else value
