"""The streaming server: sessions that run in the engine, and the protocols that lead to them.

A protocol is a file that turns its own messages into `Session.feed` and `Session.finish` and
the session's events into its own messages; docs/protocol.md says how one is plugged in.
"""
