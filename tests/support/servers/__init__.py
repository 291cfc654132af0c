"""Servers beside the sandbox, and HTTP without the client.

Most tests run against the sandbox, whose fault rules lose requests and responses (`tests.support.lost_responses` and
`chaos`). It otherwise behaves like Grand Challenge and never sends an invalid response, so that these servers stand
beside it:

- `loopback`: one scripted HTTP server, for responses that the sandbox cannot give: malformed, endless or hostile ones,
  raw bytes, and tunnels. All other servers are made of it.
- `relay`: forwards to a sandbox, records the bytes of requests, and changes responses.
- `api_and_store`: a scripted API with an object store, for faults of single upload parts and byte ranges. The sandbox
  requires parts of realistic sizes, and has no script for the n-th request of a part.
- `private_network`: a forward proxy and a private certificate authority. The sandbox has neither TLS nor a host name;
  `documentation` uses both to run a sandbox as grand-challenge.org.
"""
