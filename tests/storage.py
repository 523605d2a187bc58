"""An S3 server on loopback."""

import contextlib
import logging
from collections.abc import Iterator

import boto3
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
        keys = {f"aws_{name}": value for name, value in CREDENTIALS.items()}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", verify=False, **keys)
        client.create_bucket(Bucket="team")
        client.close()
        yield url
    finally:
        server.stop()
