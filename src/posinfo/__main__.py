"""`posinfo audit` and `posinfo store`; any other arguments are those of `kedro run`."""

import sys
from pathlib import Path

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

from posinfo.audit_command import audit_command
from posinfo.store_command import store_command

COMMANDS = {"audit": audit_command, "store": store_command}


def main() -> None:
    """Run with the arguments of the command line."""
    if (name := "".join(sys.argv[1:2])) in COMMANDS:
        COMMANDS[name](sys.argv[2:], prog_name=f"posinfo {name}")
    package = Path(__file__).parent.name
    configure_project(package)
    run = find_run_command(package)
    # Kedro looks in a --config file for the section that has the name of the program
    run(sys.argv[1:], prog_name="run")


if __name__ == "__main__":
    main()
