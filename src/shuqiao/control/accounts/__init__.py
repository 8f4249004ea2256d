"""People who sign in, what their role allows, and what they are told."""
