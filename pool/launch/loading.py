"""Has a new template import the bridge, which is the validation of its environment."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
from msgspec import Raw

from bridge.messages import to_json
from bridge.messages.secrets import Secrets
from bridge.messages.template import Load, Loaded, Unfit
from pool.clock import move_on_after
from pool.config import PoolConfig
from pool.launch.command import interpreter, template_command, worker_environment
from pool.launch.descriptors import open_socket_pair
from pool.launch.starter import Starter
from pool.launch.template import Template, TemplateLost


async def start_template(
    config: PoolConfig, starter: Starter, name: str, secrets: Secrets
) -> Template:
    """Start the process; raise `OSError` if its interpreter cannot be run."""
    environment = worker_environment(config)
    secrets.learn_environment(environment)
    started = await starter.start(
        lambda fd: template_command(config, fd), environment, open_socket_pair
    )
    return Template(name, started, secrets)


async def load_template(
    template: Template, config: PoolConfig, *, explain: bool = False
) -> Loaded | Unfit:
    """Have it import and preload, within `start_timeout`; a template that dies over it is unfit."""
    order = Load(
        config.max_frame_bytes,
        Raw(to_json(config.options or {})),
        config.requires,
        config.requires_env,
        explain,
    )
    try:
        with move_on_after(config.start_timeout) as scope:
            answer = await template.load(order)
    except TemplateLost as error:
        python = interpreter(config)
        return Unfit([f"interpreter {python!r} {error}, before it had imported the bridge"])
    if scope.cancelled_caught:
        template.kill()
        allowed = config.start_timeout
        return Unfit([f"importing {config.bridge!r} did not end within {allowed:g} s"])
    return answer


@dataclass(frozen=True, slots=True)
class Examination:
    """What became of one loading of a bridge, and the last that it wrote to stderr."""

    answer: Loaded | Unfit
    stderr: str


async def examine(config: PoolConfig, secrets: Secrets) -> Examination:
    """Load the bridge as a pool would, for a person who wants to know how that goes."""
    starter = Starter(1)
    try:
        template = await start_template(config, starter, "doctor", secrets)
    except OSError as error:
        python = interpreter(config)
        return Examination(Unfit([f"interpreter {python!r} cannot be run: {error.strerror}"]), "")
    finally:
        starter.close()
    try:
        answer = await load_template(template, config, explain=True)
    finally:
        template.close()
        with anyio.CancelScope(shield=True):
            await template.ended()
    return Examination(answer, template.said)
