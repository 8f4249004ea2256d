"""The regulation in force: its data, its articles, its calendar."""
