"""Policy section `injection`: sensitivity, exclusions, kinds of fields, and what is inspected."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from sallygate.policy.fields import Bytes, ControlSection, Section

InjectionFamily = Literal[
    "sql", "xss", "command", "traversal", "template", "nosql", "ldap", "xpath", "xxe", "lookup", "crlf", "mail",
    "ssrf", "deserialisation", "prototype", "code", "graphql", "scanner", "probe",
    "encoding",
]  # fmt: skip


class InjectionExclusion(Section):
    """Exclusion of a family. An absent field matches everything."""

    family: InjectionFamily | None = Field(None, description="Only this family; all by default.")
    field: str | None = Field(
        None,
        description="Only this field, as findings name it: `query:q`, `header:referer`, `cookie:sid`, `path:2`, or a JSON pointer into the body, `body:/items/*/text`; `*` matches any text.",
        pattern="^(query|header|cookie|path|body):",
    )
    operation: str | None = Field(None, description="Only this operation of the contract.")
    path: str | None = Field(
        None, description="Only requests to this path, `/articles/*`; `*` matches any text.", pattern="^/"
    )
    reason: str = Field("", description="Why the rule exists, for the next reader of the policy.")

    @model_validator(mode="after")
    def _narrow(self) -> InjectionExclusion:
        if self.family is None and self.field is None:
            raise ValueError("excludes everything; write a `family`, a `field`, or both")
        return self


FieldKind = Literal["text", "code", "sql", "html", "markdown", "query", "filter", "path", "url", "shell"]


class KindOfField(Section):
    """What a field is for. Families whose language the field holds on purpose are not looked for there."""

    field: str = Field(
        description="The field, as findings name it, `body:/messages/*/content`; `*` matches any text.",
        pattern="^(query|header|cookie|path|body):",
    )
    kind: FieldKind = Field(
        description="`text`, `markdown`, `html` and `code` for people and interpreters of their own; `sql` and `query` for statements and search languages; `filter` for operators of a document database, below the field too; `shell`, `path`, `url`."
    )
    operation: str | None = Field(None, description="Only this operation of the contract.")
    path: str | None = Field(
        None, description="Only requests to this path, `/chat/*`; `*` matches any text.", pattern="^/"
    )
    reason: str = Field("", description="Why the rule exists, for the next reader of the policy.")


class Injection(ControlSection):
    """Code and commands in values. On by default."""

    sensitivity: Literal["relaxed", "balanced", "strict"] = Field(
        "balanced",
        description="What is refused: `relaxed` only what would run as it stands, `balanced` what attacks look like, `strict` also what is merely odd.",
    )
    act: Literal["refuse", "strip"] = Field(
        "refuse",
        description="`strip` takes the offending characters out of the fields named in `strip`, judges again, and forwards what is left; all other fields refuse.",
    )
    strip: list[str] = Field(
        [], description="Fields to strip, named as in `exclude`. Query, JSON and form fields only."
    )
    inspect: Annotated[Bytes, Field(ge=1024, le=64 << 20)] = Field(
        4 << 20,
        description="Largest body that is inspected; of multipart bodies, the fields without the files.",
    )
    uninspected: Literal["refuse", "pass", "spool"] = Field(
        "refuse",
        description="What happens to a body that is larger than `inspect`, or in a coding or charset that cannot be read: `pass` lets it through uninspected. `spool` keeps a larger one in a file, inspects it there in pieces, and then calls the API; structures that span two pieces are not seen.",
    )
    kinds: list[KindOfField] = Field(
        [],
        description="What fields are for. A contract says it with `x-sallygate-kind`, `format: markdown`, `contentMediaType`, names of operators, or free objects.",
    )
    profiles: Literal["off", "observe", "apply"] = Field(
        "off",
        description="Treatment of structures that the profile has as normal for a field: `observe` says so in the finding, `apply` lets them weigh less.",
    )
    profile: str = Field(
        "sallygate.profile.yaml",
        description="File of the profile, relative to this one; `sallygate profile` writes it. `observe` works without it.",
    )
    exclude: list[InjectionExclusion] = Field([], description="Where not to look; `sallygate tune` proposes.")

    @field_validator("strip")
    @classmethod
    def _strippable(cls, fields: list[str]) -> list[str]:
        for field in fields:
            if not field.startswith(("query:", "body:/")):
                raise ValueError(f"{field!r} cannot be stripped; write for example query:q or body:/comment")
        return fields

    @model_validator(mode="after")
    def _strip_named(self) -> Injection:
        if (self.act == "strip") != bool(self.strip):
            raise ValueError("`act: strip` and `strip` need each other; write both or neither")
        return self
