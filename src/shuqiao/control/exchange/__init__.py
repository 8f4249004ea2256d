"""Watching the exchange: nodes, what they bring, what subscriptions take, and asking a node for something."""
