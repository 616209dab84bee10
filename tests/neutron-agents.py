#!/usr/bin/env python3
"""Measures Neutron's agents on this machine, for `bench --neutron-agents 'tests/neutron-agents.py PEER'`.

PEER is a program that runs a Neutron on this host: `PEER reset`, `PEER api|agents start|stop [--clean]`, and
`PEER bench plug|nets|restart LABEL [--n N | --counts A,B]`, which leaves $PEER_HOME/results/KIND-LABEL.json. Its database, message
queue and Open vSwitch are started and stopped as the services mariadb, rabbitmq-server and openvswitch-switch.
Prints one JSON object with the fields of `Agents` (tests/src/bench/peer.rs); what is missing was not measured.
"""
import json
import os
import subprocess
import sys
import threading
import time

PEER = sys.argv[1]
HOME = os.environ["PEER_HOME"]
SERVICES = ["mariadb", "rabbitmq-server", "openvswitch-switch"]
TICKS = os.sysconf("SC_CLK_TCK")


def run(*words):
    print("+", *words, file=sys.stderr, flush=True)
    subprocess.run(words, stdout=sys.stderr, check=True, timeout=1800)


def result(kind, label):
    with open(f"{HOME}/results/{kind}-{label}.json") as file:
        return json.load(file)


def stat(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()


class Watch(threading.Thread):
    """Processor time of the Open vSwitch agent and its children, and its own memory, four times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.samples = []
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.25):
            try:
                self.samples.append(self.look())
            except (OSError, ValueError, IndexError):
                pass  # It is being restarted.

    def look(self):
        with open(f"{HOME}/run/agent-ovs.pid") as file:
            root = int(file.read().split()[0])
        children = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                fields = stat(pid)
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append((int(pid), fields))
        own = stat(root)
        seconds, todo = 0, [(root, own)]
        while todo:
            pid, fields = todo.pop()
            seconds += (int(fields[11]) + int(fields[12])) / TICKS
            todo += children.get(pid, [])
        return time.time(), root, seconds, int(own[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def of_the_last(self, after):
        """Processor seconds and MiB of the newest process, so many seconds after it was first seen."""
        own = [sample for sample in self.samples if sample[1] == self.samples[-1][1]]
        at = min(own, key=lambda sample: abs(sample[0] - own[0][0] - after))
        return round(at[2], 2), round(at[3], 1)


def main():
    figures = {}
    for service in SERVICES:
        run("service", service, "start")
    try:
        run(PEER, "reset")
        run(PEER, "api", "start")
        run(PEER, "agents", "start")
        run(PEER, "bench", "plug", "few", "--n", "20")
        plug = result("plug", "few")
        figures["plug_to_ping"] = [plug["ping_s"]["p50"], plug["ping_s"]["p95"]]
        figures["plug_to_active"] = [plug["active_s"]["p50"], plug["active_s"]["p95"]]
        run(PEER, "bench", "nets", "n50", "--counts", "2,50")
        rows = result("nets", "n50")["rows"]
        few, many = rows[0], rows[-1]
        each = many["networks"] - few["networks"]
        for figure, key in [("network_mib", "rss_mib"), ("network_processes", "n")]:
            figures[figure] = round((many["total"][key] - few["total"][key]) / each, 2)
        figures["all_mib"], figures["all_processes"] = few["total"]["rss_mib"], few["total"]["n"]
        watch = Watch()
        watch.start()
        run(PEER, "bench", "restart", "n200", "--n", "200")
        watch.done.set()
        restart = result("restart", "n200")
        figures["plug_all"], figures["plug_all_active"] = 200, restart["plug_to_all_active_s"]
        figures["flows_200"], figures["restart_200"] = restart["flows_before"], restart["start_to_log_done_s"]
        figures["restart_200_lost"] = sum(pings["lost"] for name, pings in restart.items() if name.startswith("pings "))
        figures["restart_200_cpu"], figures["agent_200_mib"] = watch.of_the_last(restart["start_to_log_done_s"])
    finally:
        run(PEER, "agents", "stop", "--clean")
        run(PEER, "api", "stop")
        for service in reversed(SERVICES):
            run("service", service, "stop")
    print(json.dumps(figures))


main()
