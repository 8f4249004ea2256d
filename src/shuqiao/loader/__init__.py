"""The hub's side of a batch: check it, split off identity to the vault, merge the rest, sign a receipt."""
