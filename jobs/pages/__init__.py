"""The pages of `culling run` and `culling serve`: what operators look at and put right."""
