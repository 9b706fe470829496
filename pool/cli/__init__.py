"""The command `bridgepool`."""

import click

# Not by their own names, which are those of the folders here.
from pool.cli.doctor.command import doctor as doctor_command
from pool.cli.map.command import map_lines
from pool.cli.profiles import report_command
from pool.cli.stress.command import stress as stress_command
from pool.cli.top.command import top as top_command


@click.group()
@click.version_option(package_name="bridgepool")
def main() -> None:
    """Run Python models in supervised subprocesses."""


main.add_command(stress_command)
main.add_command(doctor_command)
main.add_command(map_lines)
main.add_command(report_command)
main.add_command(top_command)
