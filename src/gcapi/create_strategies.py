"""Alias for `SocketValueSpec`, kept for existing imports."""

from gcapi.sockets import SocketValueSpec as SocketValueSpec
