"""The audit log's tree: numbering durable entries, signing checkpoints, proving and checking."""
