"""Where a sample department's own interface runs, told to its node and to nobody else."""

import base64
import contextlib
import socket

from shuqiao.demo import registry
from shuqiao.demo.home import Home
from shuqiao.embedded.supervisor import Program, python
from shuqiao.rules.ids import resource_id
from shuqiao.security.keys import random_secret_file


def prepare_interface(home: Home, department: str) -> Program:
    """Write address and password into the folder of the department's node; return the interface's process.

    The port is a free one of this start: nobody but the node calls it.
    """
    folder = home.root / "nodes" / department / "interfaces"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = home.secrets / "sample-interface"
    random_secret_file(secret)
    port = _free_port()
    resource = resource_id(department.partition("-")[0], registry.LIST_KEY)
    files = {
        "description.openapi": registry.description().read_bytes(),
        "password": base64.urlsafe_b64encode(secret.read_bytes()),
        f"{registry.LIST_KEY}.yaml": (
            f"resource: {resource}\ndescription: description.openapi\n"
            f"base_url: http://127.0.0.1:{port}\nheaders: {{authorization: password}}\n"
        ).encode(),
    }
    for name, content in files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    command = python("-m", "shuqiao.demo.registry", "--port", str(port))
    return Program("sample-interface", (*command, "--secret-file", str(folder / "password")), {})


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
