"""The forms of the kinds of destinations: their fields with labels, and what a sent form means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from signals.domain.notifications.targets import TargetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One input: `values` makes it a choice, `is_secret` hides what is typed."""

    name: str
    label: str
    hint: str = ""
    is_secret: bool = False
    is_required: bool = True
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetForm:
    """The form of one kind of destination."""

    kind: TargetKind
    title: str
    fields: Sequence[FormField]


FORMS: Final[Sequence[TargetForm]] = (
    TargetForm(
        kind="webhook",
        title="Webhook",
        fields=(FormField(name="url", label="Address", hint="https://example.com/hook"),),
    ),
    TargetForm(
        kind="slack",
        title="Slack app",
        fields=(
            FormField(name="channel", label="Channel’s id", hint="C0123456789"),
            FormField(name="token", label="Bot token", hint="xoxb-…", is_secret=True),
        ),
    ),
    TargetForm(
        kind="slack_webhook",
        title="Slack webhook",
        fields=(FormField(name="url", label="Address", hint="https://hooks.slack.com/…", is_secret=True),),
    ),
    TargetForm(
        kind="pagerduty",
        title="PagerDuty",
        fields=(FormField(name="routing_key", label="Integration key", is_secret=True),),
    ),
    TargetForm(
        kind="apprise",
        title="Other (Apprise)",
        fields=(FormField(name="url", label="Address", hint="tgram://TOKEN/CHAT", is_secret=True),),
    ),
    TargetForm(
        kind="email",
        title="E-mail",
        fields=(
            FormField(name="to", label="To", hint="team@example.com, more by commas"),
            FormField(name="sender", label="From", hint="signals@example.com"),
            FormField(name="host", label="Mail server", hint="smtp.example.com"),
            FormField(name="port", label="Port", hint="587", is_required=False),
            FormField(name="security", label="Security", values=("starttls", "tls", "none")),
            FormField(name="username", label="User name", is_required=False),
            FormField(name="password", label="Password", is_secret=True, is_required=False),
        ),
    ),
)


def target_in(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the target that a form describes; fields that were left empty are absent."""
    kind = form.get("kind", "")
    names = [field.name for one in FORMS if one.kind == kind for field in one.fields]
    target: dict[str, Any] = {name: form[name] for name in names if form.get(name)}
    if "to" in target:
        target["to"] = [one.strip() for one in target["to"].split(",") if one.strip()]
    if target.get("port", "").isdecimal():
        target["port"] = int(target["port"])
    return {"kind": kind, **target}


def labels_of(kind: str) -> dict[str, str]:
    """Return what the form of a kind calls its fields."""
    fields = [field for one in FORMS if one.kind == kind for field in one.fields]
    return {"name": "Name", **{field.name: field.label for field in fields}}


def typed_in(form: Mapping[str, str]) -> dict[str, str]:
    """Return what a person typed into a form of a destination, without its secrets: to be shown again."""
    kind = form.get("kind", "")
    secret = {field.name for one in FORMS if one.kind == kind for field in one.fields if field.is_secret}
    return {name: text for name, text in form.items() if name not in secret}
