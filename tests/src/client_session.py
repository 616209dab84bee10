"""Runs commands of the real openstack client one after another in one process, and tells of each what came of it.

Starting the client costs a second of processor time, most of it for reading Python; what a command does is the same either
way, for this calls the client's own entry point. In: a command line per line of standard input. Out: a JSON object per
command: status (as the program's exit status), out, err.
"""

import contextlib
import io
import json
import shlex
import sys

from openstackclient.shell import main

real = sys.stdout
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(shlex.split(line))
        except SystemExit as end:
            status = end.code
    done = {"status": int(status or 0), "out": out.getvalue(), "err": err.getvalue()}
    print(json.dumps(done), file=real, flush=True)
