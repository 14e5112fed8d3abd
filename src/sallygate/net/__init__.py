"""The network as services use it: listening sockets, and a bounded HTTP client."""
