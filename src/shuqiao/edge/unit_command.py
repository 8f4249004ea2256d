"""The command `shuqiao node unit`: a systemd unit that runs the node with as few rights as it needs."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from shuqiao.edge.words import Words

_UNIT = """\
[Unit]
Description=Shuqiao front-end node
Wants=network-online.target
After=network-online.target

[Service]
User={user}
EnvironmentFile={environment}
ExecStart={python} -m shuqiao.edge.main
Restart=always
RestartSec=5
# A node may be killed at any moment; this is only for an orderly end.
TimeoutStopSec=30

NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={home}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def unit_command(arguments: argparse.Namespace) -> int:
    """Print the unit; 2 where a path can't stand in one."""
    home = Path(arguments.home or os.environ.get("NODE_HOME", ""))
    environment = Path(arguments.environment)
    python = Path(sys.executable)
    for name, path in (("--home", home), ("--environment", environment), ("Python", python)):
        # systemd reads spaces, quotes, percent and dollar signs of a path in ways of its own.
        if not path.is_absolute() or shlex.quote(str(path)) != str(path) or "%" in str(path):
            said = Words(
                f"{name}：须是只含普通字母的完整路径", f"{name}: a whole path of plain letters is needed"
            )
            print(said, file=sys.stderr)
            return 2
    print(_UNIT.format(user=arguments.user, environment=environment, python=python, home=home), end="")
    return 0
