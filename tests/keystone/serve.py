"""A real Keystone on loopback, for the tests: serve.py FOLDER [PORT]

Everything it keeps (SQLite, Fernet keys) is in FOLDER; a folder that has been used before is used again. Prints the port when
it answers, and ends when its standard input does, so that it cannot outlive the test.

A request below /short gets tokens that live for a second: what expiry looks like need not be waited for.
"""

import base64
import logging
import os
import sys
import threading

folder = os.path.abspath(sys.argv[1])
port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
config = os.path.join(folder, "keystone.conf")
keys = os.path.join(folder, "fernet-keys")
PASSWORD = "the administrator's password"


def prepare():
    os.makedirs(keys)
    for name in "0", "1":
        with open(os.path.join(keys, name), "wb") as key:
            key.write(base64.urlsafe_b64encode(os.urandom(32)))
    with open(config, "w") as file:
        file.write(f"""
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = sqlite:///{folder}/keystone.db
[fernet_tokens]
key_repository = {keys}
[fernet_receipts]
key_repository = {keys}
[credential]
key_repository = {keys}
[identity]
password_hash_rounds = 4
""")


def apart(work):
    """In a process of its own: Keystone's commands do not expect to be followed by others."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("Keystone cannot be set up: see " + folder)


fresh = not os.path.exists(config)
if fresh:
    prepare()
os.environ["OS_KEYSTONE_CONFIG_FILES"] = config
logging.captureWarnings(True)

# Imported once, for it takes longer than the work.
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402

import keystone.conf  # noqa: E402
from keystone.cmd import cli  # noqa: E402
from keystone.server.wsgi import initialize_public_application  # noqa: E402


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


class Late:
    """The port is known before the application is, for it is in the catalogue."""

    application = None

    def __call__(self, environ, start_response):
        short = environ["PATH_INFO"].startswith("/short/")
        if short:
            environ["PATH_INFO"] = environ["PATH_INFO"][len("/short"):]
        lifetime = 1 if short else 3600
        keystone.conf.CONF.set_override("expiration", lifetime, "token")
        return self.application(environ, start_response)


late = Late()
server = make_server("127.0.0.1", port, late, request_handler=Quiet)
if fresh:
    url = f"http://127.0.0.1:{server.port}/v3"
    apart(lambda: cli.main(["keystone-manage", "--config-file", config, "db_sync"]))
    apart(lambda: cli.main([
        "keystone-manage", "--config-file", config, "bootstrap", "--bootstrap-password", PASSWORD,
        "--bootstrap-region-id", "RegionOne", "--bootstrap-public-url", url, "--bootstrap-internal-url", url,
        "--bootstrap-admin-url", url,
    ]))
sys.argv = sys.argv[:1]
late.application = initialize_public_application()
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.port, flush=True)
sys.stdin.read()
