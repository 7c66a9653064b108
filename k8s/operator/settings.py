"""The operator's own variables. The product's variables are in `signals.settings`."""

import socket
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OperatorSettings(BaseSettings):
    """Namespaces, Lease and ports of the operator; each variable is the upper-cased field."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    pod_namespace: str = Field(default="default", description="where the Lease is kept")
    pod_name: str = Field(default_factory=socket.gethostname, description="identity in the Lease")
    signals_operator_namespaces: str | None = Field(
        default=None, description="namespaces of the stacks, with commas; unset: its own namespace"
    )
    signals_operator_lease: str = Field(default="signals-operator", description="name of the Lease")
    signals_operator_listen: str = Field(
        default="0.0.0.0",  # noqa: S104  # kubelet and Prometheus come from outside the pod
        description="address of both ports",
    )
    signals_operator_health_port: int = Field(default=8080, ge=1, le=65535, description="port of `/healthz`")
    signals_operator_metrics_port: int = Field(
        default=9090, ge=1, le=65535, description="port for Prometheus"
    )
    signals_log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severity that is logged"
    )

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces whose stacks and scenarios are reconciled."""
        listed = (self.signals_operator_namespaces or self.pod_namespace).split(",")
        return tuple(name.strip() for name in listed if name.strip())
