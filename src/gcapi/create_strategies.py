"""Where `SocketValueSpec` used to live."""

from gcapi.sockets import SocketValueSpec as SocketValueSpec
