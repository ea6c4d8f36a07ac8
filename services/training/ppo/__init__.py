"""Stage ppo, which LLaMA-Factory 0.9.5 has for another trl than all its other stages."""
