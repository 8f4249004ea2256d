"""A client of the plane that signs its calls and checks what it is promised."""
