"""`imts up`: the five services as processes of this machine, kept alive."""
