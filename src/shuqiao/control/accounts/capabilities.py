"""What an account may do; the words are those of the regulation files."""

from shuqiao.rules.capabilities import Capability as Capability
