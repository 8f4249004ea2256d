"""Tests of proxied interfaces."""
