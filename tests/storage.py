"""An S3 server on loopback."""

import contextlib
import logging
from collections.abc import Iterator

import requests
from moto.server import ThreadedMotoServer

CREDENTIALS = {"access_key_id": "key-of-this-test", "secret_access_key": "secret-of-this-test"}


@contextlib.contextmanager
def s3() -> Iterator[str]:
    """The address of an S3 server on loopback with one bucket, "team"."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        requests.put(f"{url}/team", timeout=10).raise_for_status()
        yield url
    finally:
        server.stop()
