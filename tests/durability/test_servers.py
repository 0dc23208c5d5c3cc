"""The servers that tests kill are gone when they were killed, so that they can be started again on the same port."""

import shlex
import socket
import sys
from pathlib import Path

from tests.servers import OwnServer, running

_SLOW_TO_DIE = """
import socket, sys
ballast = bytearray(200_000_000)
for page in range(0, len(ballast), 4096):
    ballast[page] = 1
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    connection.send(b"+")
    connection.close()
"""


class SlowToDie(OwnServer):
    """A script that starts the server proper, as RabbitMQ's does; giving back its memory takes that some time."""

    program, scheme = "sh", "tcp"

    def command(self) -> list[str]:
        server = shlex.join([sys.executable, "-c", _SLOW_TO_DIE, str(self.port)])
        return ["sh", "-c", f"{server} & wait"]

    def answers(self, connection: socket.socket) -> bool:
        return connection.recv(1) == b"+"


def test_a_server_that_was_killed_has_left_its_port(tmp_path: Path) -> None:
    with running(SlowToDie(tmp_path)) as server:
        for _ in range(3):
            server.kill()
            with socket.socket() as another:
                another.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # for connections that linger
                another.bind(("127.0.0.1", server.port))
                another.listen()
            server.start()
