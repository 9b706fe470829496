"""The option `--telemetry`: a command's pool shows its metrics and its health by HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import click

from pool import WorkerPool

Address = tuple[str, int]


def _address(_: click.Context, __: click.Parameter, value: str | None) -> Address | None:
    """HOST:PORT, the host in brackets if it has colons itself."""
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter("HOST:PORT is expected, such as 127.0.0.1:9187 or [::1]:9187")
    return host.removeprefix("[").removesuffix("]"), int(port)


telemetry = click.option(
    "--telemetry",
    metavar="HOST:PORT",
    callback=_address,
    help="Answer /metrics, /livez, /readyz and /stats there; port 0 is any free one.",
)


@asynccontextmanager
async def shown(pool: WorkerPool, address: Address | None) -> AsyncIterator[None]:
    """Show the pool at this address while the block runs, and say where on stderr.

    Raises `click.ClickException` if that cannot be.
    """
    if address is None:
        yield
        return
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(pool.serve_telemetry(*address))
        except ImportError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(error.strerror or str(error)) from None
        click.echo(f"telemetry at {server.url}", err=True)
        yield
