"""What readers keep of the catalogue: searches and subscriptions."""
