"""Network access of services: listening sockets, and a bounded HTTP client."""
