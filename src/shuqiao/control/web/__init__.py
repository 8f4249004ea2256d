"""The pages: server-rendered, each a thin step from form to action; nothing is decided here."""
