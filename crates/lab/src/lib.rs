//! Simulated hosts: namespaces, their Open vSwitch, agent and server.
