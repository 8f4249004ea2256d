"""Keys of departments' systems: asked for by one person, admitted by another."""
