"""The rules of the Dockerfile and of compose.yaml: each broken one is reported in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.run_dockerfile.dockerfile import Stage, image_config

Service = Mapping[str, Any]
SERVICE_KEYS = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "entrypoint",
    "environment",
    "healthcheck",
    "image",
    "ports",
    "profiles",
    "read_only",
    "restart",
    "security_opt",
    "stop_grace_period",
    "stop_signal",
    "tmpfs",
    "user",
    "volumes",
}
"""The keys of the compose specification that the services use; Compose refuses any misspelt one."""


def broken_by_image(stages: list[Stage]) -> list[str]:
    """Return the rules that the image of the last stage breaks."""
    last = stages[-1]
    config = image_config(last, stages, {"PATH": "/usr/bin"})
    broken = [
        f"{instruction.keyword} is not in exec form"
        for instruction in last.instructions
        if instruction.keyword in ("CMD", "ENTRYPOINT") and instruction.command[0] == "/bin/sh"
    ]
    user = config.user.partition(":")[0]
    if len(stages) < 2:
        broken.append("there is one stage: what a build needs would stay in the image")
    if not user.isdecimal() or int(user) == 0:
        broken.append(f"USER {config.user or 'root'}: it must be a number other than 0")
    if config.healthcheck is None or config.healthcheck.command[0] == "/bin/sh":
        broken.append("there is no HEALTHCHECK in exec form")
    if not config.ports:
        broken.append("there is no EXPOSE")
    return broken


def broken_by_compose(compose: Mapping[str, Any]) -> list[str]:
    """Return the rules that the services of a compose file break."""
    services = compose["services"]
    return [
        f"{name}: {rule}"
        for name, service in services.items()
        for rule in (*_of_service(service), *_of_ports(service), *_of_dependencies(service, services))
    ]


def _of_service(service: Service) -> Iterator[str]:
    for key in service.keys() - SERVICE_KEYS:
        yield f"{key} is no key that a service of this file uses"
    if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
        yield "its root is writable, or it has capabilities"
    if service.get("security_opt") != ["no-new-privileges:true"]:
        yield "it can gain privileges"
    if service.get("restart") != "unless-stopped":
        yield "it is not restarted"
    if not is_checked(service):
        yield "it has no health check"


def _of_ports(service: Service) -> Iterator[str]:
    for port in service.get("ports", []):
        if not port.startswith("127.0.0.1:"):
            yield f"port {port} is open to other machines"


def _of_dependencies(service: Service, services: Mapping[str, Service]) -> Iterator[str]:
    for name, how in service.get("depends_on", {}).items():
        if how != {"condition": "service_healthy"} or not is_checked(services[name]):
            yield f"it does not wait until {name} is healthy"
        if services[name].get("profiles") != service.get("profiles"):
            yield f"{name} is not of the same profile"


def is_checked(service: Service) -> bool:
    """Return whether a service has a health check: its own, or that of the image that is built here."""
    return "healthcheck" in service or "build" in service
