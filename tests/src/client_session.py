"""Runs commands of the real openstack client one after another, and tells of each what came of it.

Starting the client costs a second of processor time, most of it for reading Python; what a command does is the same either
way, for this calls the client's own entry point. The client keeps what it has read of its environment, so each user has a
process of its own, forked when all of Python is read. In: a JSON object a line of standard input: words (the command line, as
one text or in words) and environment (the user's OS_* variables). Out: a JSON object per command: status (as the program's
exit status), out, err.
"""

import contextlib
import io
import json
import os
import shlex
import sys

from openstackclient.shell import main


def serve(lines, answers):
    """A user's process: a command a line, until there is no more."""
    for line in lines:
        words = json.loads(line)["words"]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main(shlex.split(words) if isinstance(words, str) else words)
            except SystemExit as end:
                status = end.code
        done = {"status": int(status or 0), "out": out.getvalue(), "err": err.getvalue()}
        print(json.dumps(done), file=answers, flush=True)


def user(environment):
    """Forks a user's process: where it is asked, and where it answers."""
    (asked, ask), (answers, answer) = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(ask)
        os.close(answers)
        os.environ.update(environment)
        try:
            serve(os.fdopen(asked), os.fdopen(answer, "w"))
        finally:
            os._exit(0)
    os.close(asked)
    os.close(answer)
    return os.fdopen(ask, "w"), os.fdopen(answers)


users = {}
for line in sys.stdin:
    environment = json.loads(line)["environment"]
    name = json.dumps(environment, sort_keys=True)
    if name not in users:
        users[name] = user(environment)
    ask, answers = users[name]
    ask.write(line)
    ask.flush()
    print(answers.readline(), end="", flush=True)
