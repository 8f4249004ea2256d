"""The data plane: answers verify and query calls, each with a durable audit entry before the answer."""
