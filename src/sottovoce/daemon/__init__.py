"""The editor daemon: JSON-RPC 2.0 on standard input and output, with a queue of its own in memory; docs/daemon.md describes the protocol."""
