"""The command `bridgepool`."""

import click

from pool.cli.doctor.command import doctor
from pool.cli.map.command import map_lines
from pool.cli.profiles import report_command
from pool.cli.stress.command import stress
from pool.cli.top.command import top


@click.group()
@click.version_option(package_name="bridgepool")
def main() -> None:
    """Run Python models in supervised subprocesses."""


main.add_command(stress)
main.add_command(doctor)
main.add_command(map_lines)
main.add_command(report_command)
main.add_command(top)
