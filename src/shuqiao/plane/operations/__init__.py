"""What a call can ask for; each operation prepares its questions and builds its answers."""
